//! Connecting a workspace, as a browser does.

use std::sync::Arc;

use shared::{
    config::Config,
    domain::{ConnectionId, audit_event::Actor},
    queue::Ticket,
    sync::connect::{self, ConnectContext, ConnectError},
};

use super::{Case, wait_for};

impl Case {
    /// Connects it and waits for nothing.
    pub(crate) async fn connect(mut self) -> Self {
        self.connection = Some(self.try_connect().await.expect("it connects"));
        self
    }

    /// The customer connects the workspace once more: the same connection goes on.
    pub(crate) async fn reconnect(&self) {
        let again = self.try_connect().await.expect("it connects");
        assert_eq!(again, self.connection(), "the same connection goes on");
    }

    /// The customer's clicks, where Intercom may not answer as it should.
    pub(crate) async fn try_connect(&self) -> Result<ConnectionId, ConnectError> {
        let mut config = Config::clone(&self.world.config);
        self.version.clone_into(&mut config.intercom.version);
        let oauth = ConnectContext {
            config: Arc::new(config),
            ..self.world.oauth.clone()
        };
        let mut tx = oauth
            .store
            .begin(self.tenant)
            .await
            .expect("postgres answers");
        let started = connect::start(&mut tx, self.region, None, Actor::ServiceKey)
            .await
            .expect("a flow starts");
        tx.commit().await.expect("postgres answers");
        let session = connect::new_session().expect("a session");
        let opened = connect::open(&oauth.store, started.start_token.expose(), &session)
            .await
            .expect("it opens");
        let code = self.authorize(opened.state.expose()).await;
        let burnt = connect::burn(&oauth.store, opened.state.expose(), &[session.expose()]).await?;
        let connected = connect::finish(&oauth, burnt, None, &code).await?;
        // As the API does. Without them the scheduler would push them a second later.
        let tickets: Vec<Ticket> = connected
            .streams
            .iter()
            .map(|stream| Ticket::new(self.tenant, connected.connection, *stream))
            .collect();
        self.push(&tickets).await;
        Ok(connected.connection)
    }

    /// The customer's click: the code that Intercom sends back.
    async fn authorize(&self, state: &str) -> String {
        let url = format!(
            "{}/oauth?client_id=simulator-client-id&state={state}&redirect_uri=http://127.0.0.1:1/oauth/intercom/callback&auto_workspace={}",
            self.world.simulator.url(),
            self.workspace.id_code(),
        );
        let answer = super::client()
            .get(url)
            .send()
            .await
            .expect("the authorize page answers");
        let location = answer.headers()["location"].to_str().expect("a location");
        let url: reqwest::Url = location.parse().expect("a url");
        url.query_pairs()
            .find(|(name, _)| name == "code")
            .map(|(_, code)| code.into_owned())
            .expect("a code")
    }

    /// A push may be given up on a busy machine, heard or not. The same tickets again change nothing.
    pub(super) async fn push(&self, tickets: &[Ticket]) {
        wait_for("the push is heard", async || {
            let pushed = self.world.queue.push(tickets).await;
            pushed.map(|_| ()).map_err(|error| error.to_string())
        })
        .await;
    }
}
