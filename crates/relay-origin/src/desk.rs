//! What the admin API does on the origin.

mod keys;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use relay_core::admin::{
    self, Answer, DrainRequest, EdgeRow, EndedKey, KeyRequest, KeyRow, KickRequest, MadeKey, Overview,
    Refused, SourceRow, StreamRow, TokenRequest, TokenRow, ViewerRow,
};
use relay_core::cascade::Instance;
use relay_core::clock::Clock;
use relay_core::link::parent::Parent;
use relay_core::node::Operations;
use relay_core::readiness::Readiness;
use relay_core::stream::StreamKey;
use relay_core::tls::InstanceId;
use relay_core::token::TokenState;

use crate::access::Access;
use crate::edges;
use crate::ingest::Publishing;
use crate::pool::Pool;
use crate::pull::Board;
use crate::targets::Targets;
use crate::tokens::Desk;

/// The longest life of a token: a season of events. One for ever would be a password.
const MAX_TOKEN_LIFE: Duration = Duration::from_secs(366 * 24 * 3600);

/// Streams, viewers, publishers and tokens, for the one who opens the admin socket.
pub struct AdminDesk {
    /// What every node can do.
    pub operations: Operations,
    /// Who publishes.
    pub publishing: Arc<Publishing>,
    /// What is pulled.
    pub sources: Arc<Board>,
    /// Who may publish.
    pub access: Arc<Access>,
    /// Who may join.
    pub desk: Arc<Desk>,
    /// The time.
    pub clock: Clock,
    /// Where this node's metrics are, and its edges'.
    pub targets: Targets,
    /// Whose links tell where theirs are.
    pub children: Parent,
    /// Who is a member.
    pub pool: Arc<Pool>,
    /// What this node lacks.
    pub readiness: Readiness,
}

impl AdminDesk {
    /// The one member whose id begins so.
    fn member(&self, id: &str) -> Result<Instance, Refused> {
        edges::named(id, self.pool.list().into_iter().map(|row| row.instance))
    }
}

impl admin::Desk for AdminDesk {
    fn overview(&self) -> Overview {
        let edges = self.pool.list().into_iter().map(edges::row).collect();
        let now = self.clock.now();
        let tokens = self.desk.list();
        let live = tokens.iter().filter(|token| token.state(now) == TokenState::Live);
        let mut overview = self.operations.overview(&self.readiness);
        overview.sources = self.sources();
        overview.with_pool(edges, live.count() as u64).concluded()
    }

    fn streams(&self) -> Vec<StreamRow> {
        let backed = self.publishing.backed();
        let mut rows = self.operations.streams();
        for row in &mut rows {
            row.backup = backed.contains(&row.stream);
        }
        rows
    }

    fn sources(&self) -> Vec<SourceRow> {
        self.sources.rows(self.clock.now())
    }

    fn viewers(&self) -> Answer<'_, Vec<ViewerRow>> {
        Box::pin(self.operations.viewers())
    }

    fn kick(&self, whom: KickRequest) -> Answer<'_, Result<(), Refused>> {
        Box::pin(async move {
            match whom {
                KickRequest::Viewer(id) => self.operations.kick_viewer(id).await,
                KickRequest::Stream(name) => {
                    let key = name
                        .parse::<StreamKey>()
                        .map_err(|error| Refused::NotFound(error.to_string()))?;
                    let kicked = self.publishing.kick(&key);
                    kicked
                        .then_some(())
                        .ok_or_else(|| Refused::NotFound(format!("nobody publishes {key}")))
                }
            }
        })
    }

    fn tokens(&self) -> Result<Vec<TokenRow>, Refused> {
        let now = self.clock.now();
        let row = |token: &relay_core::token::TokenRecord| TokenRow {
            id: token.id.to_string(),
            state: match token.state(now) {
                TokenState::Live => "live",
                TokenState::Expired => "expired",
                TokenState::UsedUp => "used up",
                TokenState::Revoked => "revoked",
            }
            .to_owned(),
            uses_left: token.uses.saturating_sub(token.used),
            expires: token.expires,
        };
        Ok(self.desk.list().iter().map(row).collect())
    }

    fn create_token(&self, wish: TokenRequest) -> Result<String, Refused> {
        let life = Duration::from_secs(wish.ttl_seconds);
        if life.is_zero() || life > MAX_TOKEN_LIFE || wish.uses == 0 {
            return Err(Refused::Failed(
                "a token lives for a second to a year, and is good for one edge or more".into(),
            ));
        }
        let token = self.desk.create(life, wish.uses, self.clock.now());
        token
            .map(|token| token.to_string())
            .map_err(|error| Refused::Failed(error.to_string()))
    }

    fn revoke_token(&self, id: &str) -> Result<(), Refused> {
        let unknown = || Refused::NotFound(format!("there is no token {id}"));
        let found = self.desk.revoke(id.parse().map_err(|_| unknown())?);
        match found {
            Ok(true) => Ok(()),
            Ok(false) => Err(unknown()),
            Err(error) => Err(Refused::Failed(error.to_string())),
        }
    }

    fn keys(&self) -> Result<Vec<KeyRow>, Refused> {
        Ok(keys::list(self.access.keys(), self.clock.now()))
    }

    fn create_key(&self, wish: KeyRequest) -> Result<MadeKey, Refused> {
        keys::create(self.access.keys(), wish, self.clock.now())
    }

    fn revoke_key(&self, id: &str) -> Result<EndedKey, Refused> {
        keys::revoke(self.access.keys(), id, self.clock.now())
    }

    fn edges(&self) -> Result<Vec<EdgeRow>, Refused> {
        Ok(self.pool.list().into_iter().map(edges::row).collect())
    }

    fn drain_edge(&self, id: &str, wish: DrainRequest) -> Result<String, Refused> {
        let member = self.member(id)?;
        self.pool.order_drain(&member, wish.drain);
        Ok(member.to_string())
    }

    fn revoke_edge(&self, id: &str) -> Result<String, Refused> {
        let member = self.member(id)?;
        let failed = |error: &dyn std::fmt::Display| Refused::Failed(error.to_string());
        let instance: InstanceId = member.to_string().parse().map_err(|error| failed(&error))?;
        let revoked = self.desk.revoke_edge(instance, self.clock.now());
        revoked.map_err(|error| failed(&error))?;
        self.pool.revoked(&member);
        Ok(member.to_string())
    }

    fn metrics_targets(&self) -> Vec<String> {
        let children = self.children.list();
        let reported = children.iter().filter_map(|link| {
            self.targets
                .of_child(link.report.metrics.as_deref()?, link.remote)
        });
        // An edge has a link or two; each target is told once, in an order that stays.
        let reported: BTreeSet<_> = reported.filter(|target| target != self.targets.own()).collect();
        std::iter::once(self.targets.own().to_owned())
            .chain(reported)
            .collect()
    }
}
