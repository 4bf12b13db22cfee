//! From an error of the SDK to the few facts the table asks for.

use std::error::Error;

use aws_sdk_marketplacemetering::config::http::HttpResponse;
use aws_sdk_marketplacemetering::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use super::credentials::NoCredentials;
use super::table::Failure;

/// What is known after `error`.
pub(super) fn of<E>(error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ServiceError(context) => {
            let status = context.raw().status().as_u16();
            match context.err().code() {
                Some(code) => {
                    let message = context.err().message().unwrap_or_default();
                    tracing::warn!(code, status, message, "AWS refused a call");
                    Failure::Code { status, code: code.to_owned() }
                }
                // Not a reply of the service: a load balancer, a captive proxy.
                None => Failure::NoReply(format!("status {status} without an error code")),
            }
        }
        SdkError::ConstructionFailure(_) => Failure::NotSent(whole(error)),
        SdkError::DispatchFailure(_) => dispatch(error),
        SdkError::TimeoutError(_) => Failure::NoReply("timeout".into()),
        SdkError::ResponseError(_) => Failure::NoReply(format!("unreadable reply: {}", whole(error))),
        _ => Failure::NoReply(whole(error)),
    }
}

/// The request was signed and handed to the network, or should have been.
fn dispatch(error: &(dyn Error + 'static)) -> Failure {
    if let Some(none) = find::<NoCredentials>(error) {
        return match &none.refused {
            Some(code) => Failure::NoRole(code.clone()),
            None => Failure::NotSent(format!("no credentials: {none}")),
        };
    }
    if find::<hyper_util::client::legacy::Error>(error).is_some_and(hyper_util::client::legacy::Error::is_connect) {
        return Failure::NotSent(format!("no connection: {}", innermost(error)));
    }
    Failure::NoReply(format!("connection lost: {}", innermost(error)))
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let this = next?;
        next = this.source();
        Some(this)
    })
}

fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    chain(error).find_map(|error| error.downcast_ref())
}

/// What happened, without what it was wrapped into.
pub(super) fn innermost(error: &(dyn Error + 'static)) -> String {
    chain(error).last().map_or_else(String::new, ToString::to_string)
}

fn whole(error: &(impl Error + 'static)) -> String {
    DisplayErrorContext(error).to_string()
}
