//! Connections of agents whose identity is not accepted: they are told just that, in the words of the
//! protocol they speak, so that an SDK fails at once instead of trying again.

use std::sync::Arc;

use ::http::{HeaderValue, Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;

use super::{ConnectionError, Gateway, http, intake::Unread};
use crate::{
    accept::Accepted,
    body::{self, Body},
    identify::{Egress, WorkloadConfig},
    parse::ErrorShape,
    prim::CallId,
    respond::Refusal,
    route::{
        Route,
        metadata::{self, Offer},
        route,
    },
    share::Owner,
};

/// All that an agent learns; why is in the event.
pub(super) const NOT_ACCEPTED: &str = "identity not accepted";

/// Answers every request on this connection with the same refusal.
///
/// # Errors
/// [`ConnectionError`]; what is neither AWS nor the metadata endpoint is refused by `route`.
pub(super) async fn answer(
    gateway: &Arc<Gateway>,
    accepted: Accepted,
    workload: Option<Arc<WorkloadConfig>>,
) -> Result<(), ConnectionError> {
    let _place = gateway.connections.take(Owner::Strangers, 1)?;
    match route(&accepted, Egress::Aws, &gateway.own, &gateway.route).await? {
        Route::Aws(name) => {
            let tls = gateway.terminator.handshake(accepted.io, &name).await?;
            let h2 = tls.get_ref().1.alpn_protocol() == Some(b"h2".as_slice());
            let (config, shutdown) = (&gateway.config, &gateway.shutdown);
            Ok(http::serve(tls, h2, config, shutdown, refuse).await?)
        }
        Route::Metadata => {
            let (config, shutdown) = (&gateway.config, &gateway.shutdown);
            let gateway = Arc::clone(gateway);
            let handler = move |request: Request<Incoming>| {
                let (gateway, workload) = (Arc::clone(&gateway), workload.clone());
                async move { metadata(&gateway, workload.as_deref(), request) }
            };
            Ok(http::serve(accepted.io, false, config, shutdown, handler).await?)
        }
        // `route` lets only these two through where nothing else is open.
        Route::PassThroughName(..) | Route::PassThroughAddress(_) => Ok(()),
    }
}

async fn refuse(request: Request<Incoming>) -> Response<Body> {
    let (head, incoming) = request.into_parts();
    let (unread, _) = Unread::new(incoming, &head.headers);
    let refusal = Refusal::not_accepted(CallId::generate());
    let answer = refusal.into_response(ErrorShape::guess(&head), &head.method).map(body::full);
    unread.discard().await;
    parting(answer, head.version)
}

/// The next request is to come on another connection, by which somebody may vouch for the agent. With HTTP/2 there is no
/// such word in an answer.
fn parting(mut answer: Response<Body>, version: Version) -> Response<Body> {
    if version < Version::HTTP_2 {
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

/// What the metadata endpoint has for them: keys of no session. An SDK that found none would not make its call, and
/// its user would never see why. Whatever is signed with them is refused: here because nobody vouches for who asks, and in
/// any session because they are not its own.
pub(super) fn metadata(
    gateway: &Gateway,
    workload: Option<&WorkloadConfig>,
    request: Request<Incoming>,
) -> Response<Body> {
    const ROLE: &str = "chaperone-not-accepted";
    let (head, _) = request.into_parts();
    let Some(workload) = workload else { return parting(no_credentials(), head.version) };
    let now = gateway.clock.now();
    let offer = Offer::of_nobody(gateway.registry.nobody(), workload, now);
    let answer = metadata::answer(&head, offer, ROLE, now, &gateway.metadata_key).map(body::full);
    parting(answer, head.version)
}

/// Where no workload tells even the region.
fn no_credentials() -> Response<Body> {
    let mut response = Response::new(body::full(NOT_ACCEPTED));
    *response.status_mut() = StatusCode::FORBIDDEN;
    response
}
