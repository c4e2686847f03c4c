//! What the loop watches in each namespace, as streams of events that say of which.

use futures::StreamExt as _;
use futures::stream::{BoxStream, SelectAll};
use swr_operator_kube::{Event, Seen, SeenSecret, watch_objects, watch_secrets};

use super::super::start::{Options, WatchSecrets};

type Events<T> = SelectAll<BoxStream<'static, (Option<String>, Event<T>)>>;

/// The namespaces whose objects are kept; `None` for all.
pub(super) fn namespaces_of(options: &Options) -> Vec<Option<String>> {
    if options.watch_namespaces.is_empty() {
        vec![None]
    } else {
        options.watch_namespaces.iter().cloned().map(Some).collect()
    }
}

/// Those whose Secrets are watched.
pub(super) fn namespaces_of_secrets(options: &Options) -> Vec<Option<String>> {
    match options.watch_secrets {
        WatchSecrets::Off => Vec::new(),
        WatchSecrets::All | WatchSecrets::Labelled(_) => namespaces_of(options),
    }
}

pub(super) fn objects(options: &Options) -> Events<Seen> {
    let client = &options.connection.watch;
    let of = |namespace: Option<String>| {
        watch_objects(client.clone(), namespace.as_deref())
            .map(move |event| (namespace.clone(), event))
            .boxed()
    };
    futures::stream::select_all(namespaces_of(options).into_iter().map(of))
}

/// Ends at once if none is watched.
pub(super) fn secrets(options: &Options) -> Events<SeenSecret> {
    let client = &options.connection.watch;
    let labels = match &options.watch_secrets {
        WatchSecrets::Off | WatchSecrets::All => None,
        WatchSecrets::Labelled(labels) => Some(labels.as_str()),
    };
    let of = |namespace: Option<String>| {
        watch_secrets(client.clone(), namespace.as_deref(), labels)
            .map(move |event| (namespace.clone(), event))
            .boxed()
    };
    futures::stream::select_all(namespaces_of_secrets(options).into_iter().map(of))
}
