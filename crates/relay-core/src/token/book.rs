//! The origin's record of the join tokens that it gave out. Sans-IO: whoever owns the state folder writes it down.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use super::join::{Secret, TokenId};
use crate::clock::Now;
use crate::tls::InstanceId;

/// More live tokens than any operator can tell apart; with dead ones swept first, the file stays small.
pub const MAX_TOKENS: usize = 256;

/// The most uses of one token: more edges than a pool of this kind has.
pub const MAX_USES: u32 = 10_000;

/// How many of a token's latest joiners are remembered, so that one whose answer got lost may ask again without
/// a second use being counted. Only joins within one lost packet's time matter; 32 outlast any join storm.
const MAX_RECENT: usize = 32;

/// How long an ended token stays in the list, so that "expired" can be told from "unknown".
const KEEP_ENDED: Duration = Duration::from_hours(7 * 24);

/// All tokens of a pool. Serialises as the JSON that the state folder keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenBook {
    tokens: Vec<TokenRecord>,
}

/// One token as the origin knows it: enough to recognise the secret, not to say it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// Its public name.
    pub id: TokenId,
    /// SHA-256 of its secret, in hex in the file.
    #[serde(with = "hex32")]
    secret_sha256: [u8; 32],
    /// When it was made, Unix seconds.
    pub created: u64,
    /// When it ends, Unix seconds.
    pub expires: u64,
    /// How many edges it was made for.
    pub uses: u32,
    /// How many it has admitted.
    pub used: u32,
    /// Whether it was revoked.
    pub revoked: bool,
    /// Those it admitted last.
    #[serde(default)]
    recent: Vec<InstanceId>,
}

/// What a token is good for at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenState {
    /// It admits.
    Live,
    /// Its time is over.
    Expired,
    /// It has admitted as many as it was made for.
    UsedUp,
    /// It was revoked.
    Revoked,
}

/// Why a token admits nobody. All but the first are told only to one who knows the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedeemError {
    /// No such token, or the secret is not its own.
    #[error("this token is unknown to the origin")]
    Unknown,
    /// Its time is over.
    #[error("this token has expired")]
    Expired,
    /// It has admitted as many edges as it was made for.
    #[error("this token is used up")]
    UsedUp,
    /// An operator revoked it.
    #[error("this token was revoked")]
    Revoked,
}

/// [`MAX_TOKENS`] tokens are live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are {MAX_TOKENS} live tokens already; revoke some first")]
pub struct BookFull;

impl TokenBook {
    /// Notes a new token, good for `ttl` and for `uses` edges (at least one, at most [`MAX_USES`]).
    ///
    /// # Errors
    /// When there is no room, even without those that have ended.
    pub fn create(
        &mut self,
        id: TokenId,
        secret: &Secret,
        ttl: Duration,
        uses: u32,
        now: Now,
    ) -> Result<&TokenRecord, BookFull> {
        self.sweep(now);
        if self.tokens.len() >= MAX_TOKENS {
            // Those that have ended are kept as a courtesy only.
            self.tokens.retain(|t| t.state(now) == TokenState::Live);
        }
        if self.tokens.len() >= MAX_TOKENS {
            return Err(BookFull);
        }
        let created = unix_s(now);
        let at = self.tokens.len();
        self.tokens.push(TokenRecord {
            id,
            secret_sha256: secret.sha256(),
            created,
            expires: created.saturating_add(ttl.as_secs()),
            uses: uses.clamp(1, MAX_USES),
            used: 0,
            revoked: false,
            recent: Vec::new(),
        });
        Ok(&self.tokens[at])
    }

    /// All tokens, oldest first, with those that ended lately.
    pub fn list(&self) -> &[TokenRecord] {
        &self.tokens
    }

    /// Ends a token at once. Says whether there was such a one.
    pub fn revoke(&mut self, id: TokenId) -> bool {
        let token = self.tokens.iter_mut().find(|t| t.id == id);
        token.map(|t| t.revoked = true).is_some()
    }

    /// Admits `instance` by a token's secret, and counts the use; an instance that was just admitted by this token
    /// is admitted again without a second count, since its answer may have been lost on the way.
    ///
    /// # Errors
    /// Why it admits nobody. The book is unchanged then.
    pub fn redeem(
        &mut self,
        id: TokenId,
        secret: &Secret,
        instance: InstanceId,
        now: Now,
    ) -> Result<(), RedeemError> {
        let token = self.tokens.iter_mut().find(|t| t.id == id);
        let token = token.filter(|t| t.knows(secret)).ok_or(RedeemError::Unknown)?;
        let again = token.recent.contains(&instance);
        match token.state(now) {
            TokenState::Revoked => return Err(RedeemError::Revoked),
            TokenState::Expired => return Err(RedeemError::Expired),
            TokenState::UsedUp if !again => return Err(RedeemError::UsedUp),
            TokenState::UsedUp | TokenState::Live => {}
        }
        if !again {
            token.used += 1;
            if token.recent.len() >= MAX_RECENT {
                token.recent.remove(0);
            }
            token.recent.push(instance);
        }
        Ok(())
    }

    fn sweep(&mut self, now: Now) {
        let now_s = unix_s(now);
        self.tokens
            .retain(|t| t.expires.saturating_add(KEEP_ENDED.as_secs()) > now_s);
    }
}

impl TokenRecord {
    /// What it is good for now.
    pub fn state(&self, now: Now) -> TokenState {
        if self.revoked {
            TokenState::Revoked
        } else if unix_s(now) >= self.expires {
            TokenState::Expired
        } else if self.used >= self.uses {
            TokenState::UsedUp
        } else {
            TokenState::Live
        }
    }

    fn knows(&self, secret: &Secret) -> bool {
        self.secret_sha256.ct_eq(&secret.sha256()).into()
    }
}

const fn unix_s(now: Now) -> u64 {
    now.unix_us / 1_000_000
}

/// A SHA-256 as 64 hex digits.
mod hex32 {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(hash: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&crate::tls::hex::encode(hash))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(deserializer)?;
        crate::tls::hex::decode(&text).ok_or_else(|| D::Error::custom("a SHA-256 is 64 hex digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Now = Now {
        mono_ms: 0,
        unix_us: 1_800_000_000_000_000,
    };
    const ID: TokenId = TokenId::new([0, 0, 0, 1]);
    const HOUR: Duration = Duration::from_hours(1);

    fn secret(n: u8) -> Secret {
        Secret::new([n; 16])
    }

    fn instance(n: u8) -> InstanceId {
        InstanceId::new([n; 16])
    }

    fn book(uses: u32) -> TokenBook {
        let mut book = TokenBook::default();
        book.create(ID, &secret(1), HOUR, uses, NOW).unwrap();
        book
    }

    #[test]
    fn admits_as_many_as_it_was_made_for() {
        let mut book = book(2);
        assert_eq!(book.redeem(ID, &secret(1), instance(1), NOW), Ok(()));
        assert_eq!(book.redeem(ID, &secret(1), instance(2), NOW), Ok(()));
        let third = book.redeem(ID, &secret(1), instance(3), NOW);
        assert_eq!(third, Err(RedeemError::UsedUp));
        assert_eq!(book.list()[0].state(NOW), TokenState::UsedUp);
    }

    #[test]
    fn an_answer_lost_on_the_way_costs_no_second_use() {
        let mut book = book(1);
        assert_eq!(book.redeem(ID, &secret(1), instance(1), NOW), Ok(()));
        assert_eq!(book.redeem(ID, &secret(1), instance(1), NOW), Ok(()));
        assert_eq!(book.list()[0].used, 1);
        assert_eq!(
            book.redeem(ID, &secret(1), instance(1), NOW.plus_ms(3_600_000)),
            Err(RedeemError::Expired)
        );
    }

    #[test]
    fn ends_by_time_and_by_revoking_and_says_so_to_owners_only() {
        let mut book = book(9);
        let late = NOW.plus_ms(3_600_000);
        let try_at = |book: &mut TokenBook, s, now| book.redeem(ID, &secret(s), instance(1), now);
        assert_eq!(try_at(&mut book, 1, late.plus_ms(0)), Err(RedeemError::Expired));
        assert_eq!(try_at(&mut book, 2, late), Err(RedeemError::Unknown));
        assert!(book.revoke(ID) && !book.revoke(TokenId::new([9; 4])));
        assert_eq!(try_at(&mut book, 1, NOW), Err(RedeemError::Revoked));
        assert_eq!(try_at(&mut book, 2, NOW), Err(RedeemError::Unknown));
        let other = book.redeem(TokenId::new([9; 4]), &secret(1), instance(1), NOW);
        assert_eq!(other, Err(RedeemError::Unknown));
    }

    #[test]
    fn keeps_hashes_only_and_reads_back_what_it_wrote() {
        let mut book = book(3);
        book.redeem(ID, &secret(1), instance(2), NOW).unwrap();
        let json = serde_json::to_string(&book).unwrap();
        let raw = crate::tls::hex::encode(&[1; 16]);
        assert!(
            !json.contains(&secret(1).expose()) && !json.contains(&raw),
            "{json}"
        );
        assert_eq!(serde_json::from_str::<TokenBook>(&json).unwrap(), book);
    }

    #[test]
    fn is_bounded_and_forgets_the_ended_first() {
        let mut book = TokenBook::default();
        for n in 0..MAX_TOKENS {
            let id = TokenId::new(u32::try_from(n).unwrap().to_be_bytes());
            book.create(id, &secret(1), HOUR, 1, NOW).unwrap();
        }
        let one_more = |book: &mut TokenBook, now| book.create(ID, &secret(1), HOUR, 1, now).err();
        assert_eq!(one_more(&mut book, NOW), Some(BookFull));
        book.revoke(TokenId::new([0; 4]));
        assert_eq!(one_more(&mut book, NOW), None);
        assert_eq!(one_more(&mut book, NOW.plus_ms(3_600_001)), None);
        assert_eq!(book.list().len(), 1);
    }
}
