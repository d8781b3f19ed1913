//! A case: a tenant and its workspace in a world.

use intercom_simulator::{Kind, TruthLine, Workspace, WorkspaceSpec};
use shared::domain::{ConnectionId, Region, TenantId};
use tokio::sync::MutexGuard;
use uuid::Uuid;

use super::{World, floors};

/// A tenant and its workspace. Every verb of a test is one of its methods.
pub(crate) struct Case {
    pub(crate) world: World,
    pub(crate) workspace: Workspace,
    pub(crate) tenant: TenantId,
    pub(super) connection: Option<ConnectionId>,
    pub(super) version: &'static str,
    pub(super) region: Region,
    /// The clock of the simulator is this case's alone until it ends.
    pub(super) _turn: Option<MutexGuard<'static, ()>>,
}

impl World {
    /// A tenant and a workspace that is not connected yet.
    pub(crate) async fn case(&self, spec: WorkspaceSpec) -> Case {
        let workspace = self.simulator.add_workspace(spec);
        Case {
            world: self.clone(),
            workspace,
            tenant: self.new_tenant().await,
            connection: None,
            version: "2.16",
            region: Region::Us,
            _turn: None,
        }
    }

    /// A tenant with a connected workspace.
    pub(crate) async fn connect(&self, spec: WorkspaceSpec) -> Case {
        self.case(spec).await.connect().await
    }

    pub(crate) async fn new_tenant(&self) -> TenantId {
        self.tenant_named("Acme").await
    }

    pub(crate) async fn tenant_named(&self, name: &str) -> TenantId {
        let none = TenantId(Uuid::nil());
        let mut tx = self.store.begin(none).await.expect("postgres answers");
        let tenant = tx.create_tenant(name).await.expect("a tenant");
        tx.commit().await.expect("postgres answers");
        tenant.id
    }
}

impl Case {
    /// Another tenant that connects the same workspace.
    pub(crate) async fn connected_by_another_tenant(&self) -> Case {
        let case = Case {
            world: self.world.clone(),
            workspace: self.workspace.clone(),
            tenant: self.world.new_tenant().await,
            connection: None,
            _turn: None,
            ..*self
        };
        case.connect().await
    }

    /// The same workspace for a new tenant with a name of its own.
    pub(crate) async fn of_tenant(self, name: &str) -> Self {
        Self {
            tenant: self.world.tenant_named(name).await,
            ..self
        }
    }

    /// The same case, looked at through another world.
    pub(crate) fn seen_from(self, world: World) -> Self {
        Self { world, ..self }
    }

    /// Pins the connection to a version of Intercom's API.
    pub(crate) fn version(mut self, version: &'static str) -> Self {
        self.version = version;
        self
    }

    /// The region whose authorize page the customer uses.
    pub(crate) fn region(mut self, region: Region) -> Self {
        self.region = region;
        self
    }

    /// The case of a connection that [`Case::try_connect`] has made.
    pub(crate) fn connected_as(mut self, connection: ConnectionId) -> Self {
        self.connection = Some(connection);
        self
    }

    pub(crate) fn connection(&self) -> ConnectionId {
        self.connection.expect("the case is connected")
    }

    /// The ids of live objects of a kind.
    pub(crate) fn ids(&self, kind: Kind) -> Vec<String> {
        self.live(kind).into_iter().map(|line| line.id).collect()
    }

    /// Live objects of a kind.
    pub(crate) fn live(&self, kind: Kind) -> Vec<TruthLine> {
        let mut lines = self.workspace.truth();
        lines.retain(|line| line.kind == kind && !line.deleted);
        lines
    }

    /// Texts of the workspace that no process may print: e-mail addresses of its contacts.
    pub(crate) fn customer_texts(&self) -> Vec<String> {
        let live = self.live(Kind::Contact);
        let emails = live
            .iter()
            .filter_map(|line| Some(line.value()["email"].as_str()?.to_owned()));
        emails.collect()
    }

    /// Conversations that do not count their parts, so that only a call shows whether they have any.
    pub(crate) fn uncounted(&self) -> u64 {
        let truth = self.workspace.truth();
        let uncounted = truth
            .iter()
            .filter(|line| line.kind == Kind::Conversation && line.value()["statistics"].is_null());
        uncounted.count() as u64
    }

    /// The calls that a first sync of what there is now needs.
    pub(crate) fn first_floor(&self) -> u64 {
        floors::first(&self.workspace.truth(), self.version)
    }

    /// The calls that a full walk of what there is now needs.
    pub(crate) fn walk_floor(&self) -> u64 {
        floors::walk(&self.workspace.truth())
    }

    /// The calls that the lists of reference data need.
    pub(crate) fn reference_floor(&self) -> u64 {
        floors::reference(self.version)
    }
}
