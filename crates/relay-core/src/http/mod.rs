//! HTTP heads: what a viewer asks for, and the beginning of what it gets. Bytes in, bytes out.
//!
//! A connection carries one request and one answer, and is closed then: the answer to the request that matters here
//! has no end to wait for. So a second request on a connection is never read, and nothing can be smuggled in as one.
//!
//! Asked for and left aside: `Range` (a live stream has no byte to go back to, and says `Accept-Ranges: none`), `Upgrade`
//! (RFC 9110 lets a server stay with HTTP), `Expect` (no body is waited for) and `Connection` (it is always closed).

mod error;
mod request;
mod response;
mod route;
mod target;
#[cfg(test)]
mod tests;

pub use error::HttpError;
pub use request::{MAX_EMPTY_LINES, MAX_HEAD_BYTES, MAX_HEADERS, Method, RequestHead, Version};
pub use response::{
    RETRY_AFTER_SECONDS, Status, error_response, live_head, preflight_response, redirect_response,
    refusal_response,
};
pub use route::Route;
