//! What is wrong -> the error body of the part that says so: gateway, service or IAM. Must not know why.

use serde_json::{Value, json};

use crate::message::Reply;
use crate::switches::{DeniedReply, GatewayPrefix};

/// A request that is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The API gateway, before the service: `number` is that of `APIGW.0301`.
    Gateway {
        status: u16,
        number: &'static str,
        message: String,
    },
    /// SWR itself.
    Service {
        status: u16,
        code: &'static str,
        message: String,
    },
    /// SWR, for want of a permission.
    Denied { action: &'static str },
    /// IAM, in Keystone's shape, where the code is a number.
    Iam {
        status: u16,
        title: &'static str,
        message: String,
    },
    /// STS. Its codes are placeholders, as the others are; no client may depend on them.
    Sts {
        status: u16,
        code: &'static str,
        message: String,
    },
    /// A service on the node, which speaks plain text.
    Text { status: u16, message: &'static str },
    /// A proxy or a wrong server that knows nothing of this API.
    Html { status: u16 },
    /// Throttled by the gateway.
    Throttled {
        limit: u32,
        retry_after_secs: Option<u64>,
    },
}

/// The generic code for an invalid parameter. Codes of the form `SWR.400nnn` are placeholders in the shape of the one
/// Enterprise code that is known; no client may depend on them.
pub const INVALID: &str = "SVCSTG.SWR.4001025";

impl Refusal {
    /// As the services of a node refuse.
    pub fn unauthorized_in_text(message: &'static str) -> Self {
        Self::Text {
            status: 401,
            message,
        }
    }

    pub fn gateway(status: u16, number: &'static str, message: impl Into<String>) -> Self {
        Self::Gateway {
            status,
            number,
            message: message.into(),
        }
    }

    pub fn service(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self::Service {
            status,
            code,
            message: message.into(),
        }
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::service(400, INVALID, message)
    }

    /// The API does not exist: a wrong path, endpoint or region.
    pub fn no_such_api() -> Self {
        Self::gateway(
            404,
            "0101",
            "The API does not exist or has not been published in the environment",
        )
    }

    pub fn render(&self, request_id: &str, prefix: GatewayPrefix, denied: DeniedReply) -> Reply {
        match self {
            Self::Gateway {
                status,
                number,
                message,
            } => gateway_reply(*status, prefix, number, message, request_id),
            Self::Service {
                status,
                code,
                message,
            } => Reply::json(*status, &service_body(code, message)),
            Self::Denied { action } => denied_reply(action, request_id, prefix, denied),
            Self::Iam {
                status,
                title,
                message,
            } => Reply::json(
                *status,
                &json!({"error": {"code": status, "message": message, "title": title}}),
            ),
            Self::Sts {
                status,
                code,
                message,
            } => Reply::json(
                *status,
                &json!({"error_code": code, "error_msg": message, "request_id": request_id}),
            ),
            Self::Text { status, message } => {
                Reply::empty(*status).with_body("text/plain; charset=utf-8", message.as_bytes())
            }
            Self::Html { status } => Reply::empty(*status).with_body(
                "text/html",
                b"<html>\n<head><title>404 Not Found</title></head>\n<body>\n<center><h1>404 Not Found</h1></center>\n</body>\n</html>\n",
            ),
            Self::Throttled {
                limit,
                retry_after_secs,
            } => {
                let message = format!(
                    "The throttling threshold has been reached: policy user over ratelimit,limit:{limit},time:1 minute"
                );
                let reply = gateway_reply(429, prefix, "0308", &message, request_id);
                match retry_after_secs {
                    Some(secs) => reply.with_header("retry-after", &secs.to_string()),
                    None => reply,
                }
            }
        }
    }
}

fn gateway_reply(
    status: u16,
    prefix: GatewayPrefix,
    number: &str,
    message: &str,
    request_id: &str,
) -> Reply {
    let code = format!("{}.{number}", prefix.word());
    Reply::json(
        status,
        &json!({"error_msg": message, "error_code": code, "request_id": request_id}),
    )
}

/// The current body of SWR, which repeats the old form in the same object.
fn service_body(code: &str, message: &str) -> Value {
    json!({
        "errors": [{"errorCode": code, "errorMessage": message, "detail": ""}],
        "error_code": code,
        "error_msg": message,
        "details": [{"error_code": code, "error_msg": message}],
    })
}

fn denied_reply(
    action: &str,
    request_id: &str,
    prefix: GatewayPrefix,
    denied: DeniedReply,
) -> Reply {
    const CODE: &str = "SVCSTG.SWR.4030170";
    const MESSAGE: &str = "Insufficient permissions";
    // Opaque to clients; long, as the real one is, so that a client has to cut it.
    let encoded = crate::sign::hex_sha256(action.as_bytes()).repeat(12);
    match denied {
        DeniedReply::Full => Reply::json(
            403,
            &json!({
                "errors": [{
                    "errorCode": CODE,
                    "errorMessage": MESSAGE,
                    "detail": "",
                    "encoded_authorization_message": encoded,
                }],
                "error_code": CODE,
                "error_msg": MESSAGE,
                "details": [{"error_code": CODE, "error_msg": ""}],
                "encoded_authorization_message": encoded,
            }),
        ),
        DeniedReply::Gateway => gateway_reply(
            403,
            prefix,
            "0302",
            "Incorrect IAM authentication information: the user is not allowed to access the API",
            request_id,
        ),
        DeniedReply::Array => Reply::json(
            403,
            &json!([{"errorCode": CODE, "errorMessage": MESSAGE, "detail": ""}]),
        ),
    }
}
