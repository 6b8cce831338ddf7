//! Connections of agents whose identity is not accepted: they are told just that, in the words of the
//! protocol they speak, so that an SDK fails at once instead of trying again.

use std::sync::Arc;

use ::http::{Request, Response, StatusCode};
use hyper::body::Incoming;

use super::{ConnectionError, Gateway, http, intake::Unread, share::Owner};
use crate::{
    accept::Accepted,
    body::{self, Body},
    identify::Egress,
    parse::ErrorShape,
    prim::CallId,
    respond::Refusal,
    route::{Route, route},
};

/// All that an agent learns; why is in the event.
pub(super) const NOT_ACCEPTED: &str = "identity not accepted";

/// Answers every request on this connection with the same refusal.
///
/// # Errors
/// [`ConnectionError`]; what is neither AWS nor the metadata endpoint is refused by `route`.
pub(super) async fn answer(gateway: &Arc<Gateway>, accepted: Accepted) -> Result<(), ConnectionError> {
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
            Ok(http::serve(accepted.io, false, config, shutdown, |_| async { no_credentials() }).await?)
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
    answer
}

/// The metadata endpoint's words for it.
pub(super) fn no_credentials() -> Response<Body> {
    let mut response = Response::new(body::full(NOT_ACCEPTED));
    *response.status_mut() = StatusCode::FORBIDDEN;
    response
}
