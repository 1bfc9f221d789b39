//! Join tokens: the one string that turns a fresh machine into an edge of a pool.
//!
//! [`JoinToken`] is that string; [`TokenBook`] is the origin's record of which it has given out. The book keeps
//! only hashes, so that a stolen state folder admits nobody.

mod address;
mod book;
mod join;

pub use address::{Address, AddressError, MAX_HOST_BYTES};
pub use book::{BookFull, MAX_TOKENS, MAX_USES, RedeemError, TokenBook, TokenRecord, TokenState};
pub use join::{
    JoinToken, MAX_TOKEN_ADDRESSES, MAX_TOKEN_BYTES, SECRET_BYTES, Secret, TOKEN_PREFIX, TokenError, TokenId,
};
