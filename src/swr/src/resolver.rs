//! Name -> the addresses that a connection may go to. Asked for every new connection, so that a name which is pointed
//! elsewhere later gains nothing.

use std::io;
use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;

use super::endpoint::may_connect;

/// Why a name leads nowhere.
#[derive(Debug, Error)]
pub(super) enum NoAddress {
    #[error("the name does not resolve")]
    Unresolved(#[source] io::Error),
    #[error("the name has no address that is allowed")]
    Forbidden,
}

/// The resolver of the platform.
pub(super) struct Platform;

impl Resolve for Platform {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses = tokio::net::lookup_host((name.as_str(), 0)).await;
            let addresses: Vec<SocketAddr> = addresses.map_err(NoAddress::Unresolved)?.collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// A resolver, minus the addresses that a name must not stand for.
pub(super) struct Guarded<R>(pub(super) R);

impl<R: Resolve> Resolve for Guarded<R> {
    fn resolve(&self, name: Name) -> Resolving {
        let text = name.as_str().to_owned();
        let answer = self.0.resolve(name);
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = answer
                .await?
                .filter(|address| may_connect(&text, address.ip()))
                .collect();
            if addresses.is_empty() {
                return Err(NoAddress::Forbidden.into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::time::Instant;

    use swr_operator_core::failure::Obstacle;

    use super::*;
    use crate::http::{Lost, Settings, Transport};

    /// Gives these answers one after the other, whatever the name.
    struct Changing(Mutex<std::vec::IntoIter<Vec<&'static str>>>);

    impl Changing {
        fn new(answers: &[&[&'static str]]) -> Self {
            let answers: Vec<_> = answers.iter().map(|answer| answer.to_vec()).collect();
            Changing(Mutex::new(answers.into_iter()))
        }
    }

    impl Resolve for Changing {
        fn resolve(&self, _: Name) -> Resolving {
            let answer = self.0.lock().expect("whole").next().expect("an answer");
            let address = |text: &&str| SocketAddr::new(text.parse().expect("an address"), 0);
            let addresses: Vec<_> = answer.iter().map(address).collect();
            Box::pin(async move { Ok(Box::new(addresses.into_iter()) as Addrs) })
        }
    }

    #[tokio::test]
    async fn a_name_that_is_pointed_elsewhere_later_leads_nowhere() {
        let guarded = Guarded(Changing::new(&[
            &["203.0.113.7"],
            &["169.254.169.254"],
            &["fe80::1", "::ffff:169.254.169.254", "127.0.0.1"],
            &["169.254.169.254", "203.0.113.8"],
        ]));
        let mut answers = Vec::new();
        for _ in 0..4 {
            let name = "swr.example.com".parse().expect("a name");
            let answer = guarded.resolve(name).await.map_err(|why| why.to_string());
            answers.push(answer.map(|them| them.map(|it| it.ip().to_string()).collect()));
        }
        let only = |address: &str| Ok(vec![address.to_owned()]);
        let none = || Err("the name has no address that is allowed".to_owned());
        assert_eq!(
            answers,
            [only("203.0.113.7"), none(), none(), only("203.0.113.8")]
        );
    }

    #[tokio::test]
    async fn each_connection_asks_again_and_none_goes_where_the_name_may_not_lead() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        // Closes each connection, so that none is used again.
        let answering = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let answer = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
                let mut head = [0; 1024];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(answer).await;
            }
        });
        let forbidden = Err(Lost::NotSent(Some(Obstacle::ForbiddenAddress)));
        for (name, answers) in [
            // Served; then nothing is sent.
            ("localhost", [&["127.0.0.1"][..], &["169.254.169.254"]]),
            (
                "localhost",
                [&["169.254.169.254", "127.0.0.1"], &["fe80::1"]],
            ),
        ] {
            let resolver = Changing::new(&answers);
            let transport = Transport::with_resolver(Settings::default(), resolver);
            let transport = transport.expect("a transport");
            let sent = [
                send(&transport, name, port).await,
                send(&transport, name, port).await,
            ];
            assert_eq!(sent, [Ok(204), forbidden], "{answers:?}");
        }
        // Here a connection would be answered.
        let resolver = Changing::new(&[&["127.0.0.1"], &["::ffff:127.0.0.1"]]);
        let transport = Transport::with_resolver(Settings::default(), resolver);
        let transport = transport.expect("a transport");
        for _ in 0..2 {
            let sent = send(&transport, "swr.example.com", port).await;
            assert_eq!(sent, forbidden);
        }
        answering.abort();
    }

    /// Of a DNS that knows no name.
    struct Empty;

    impl Resolve for Empty {
        fn resolve(&self, _: Name) -> Resolving {
            let unknown = io::Error::other("no such host");
            Box::pin(async { Err(NoAddress::Unresolved(unknown).into()) })
        }
    }

    #[tokio::test]
    async fn a_name_that_dns_does_not_know_is_told_from_a_server_that_is_down() {
        let transport = Transport::with_resolver(Settings::default(), Empty);
        let transport = transport.expect("a transport");
        assert_eq!(
            send(&transport, "swr.example.com", 443).await,
            Err(Lost::NotSent(Some(Obstacle::Unresolved)))
        );
        // A port that nobody listens on any more.
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let sent = send(&transport, "127.0.0.1", port).await;
        assert_eq!(sent, Err(Lost::NotSent(None)));
    }

    async fn send(transport: &Transport, name: &str, port: u16) -> Result<u16, Lost> {
        let url = format!("http://{name}:{port}").parse().expect("a URL");
        let request = reqwest::Request::new(http::Method::GET, url);
        let deadline = Instant::now() + Duration::from_secs(5);
        let answer = transport.exchange(request, deadline).await;
        answer.map(|answer| answer.head.status)
    }
}
