//! One call of a tool: the caller that it acts for, and the arguments.

use futures::future::BoxFuture;
use rmcp::model::{JsonObject, Tool as ListedTool, ToolAnnotations};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use shared::{
    domain::{Strict, TenantId},
    store::ApiTx,
};
use uuid::Uuid;

use super::{answer::Answer, lacking::LackedScope, refusal::Refusal, schema};
use crate::{
    Api,
    caller::{CallerScopes, KeyScope},
    page::Pager,
};

/// What a tool works with.
pub(super) struct Call {
    pub(super) api: Api,
    pub(super) tenant: TenantId,
    pub(super) scopes: CallerScopes,
    /// Of a token, which a sign-in can give more.
    pub(super) lacked: Option<LackedScope>,
}

/// A tool. It only reads.
pub(super) trait Tool {
    const NAME: &'static str;
    const TITLE: &'static str;
    /// For a model: what it answers, and when to call it.
    const DESCRIPTION: &'static str;
    type Input: DeserializeOwned + JsonSchema + Send;
    type Output: Serialize + JsonSchema;

    /// # Errors
    /// The sentence that the model reads in place of an answer.
    fn run(call: &Call, input: Self::Input)
    -> impl Future<Output = Result<Answer, Refusal>> + Send;
}

/// Runs a tool with arguments as they came.
type Run = for<'a> fn(&'a Call, JsonObject) -> BoxFuture<'a, Result<Answer, Refusal>>;

/// A tool in the list.
pub(super) struct Entry {
    pub(super) listed: ListedTool,
    pub(super) run: Run,
}

impl Entry {
    pub(super) fn of<T: Tool + 'static>() -> Self {
        let mut listed =
            ListedTool::new(T::NAME, T::DESCRIPTION, schema::of_arguments::<T::Input>());
        listed.title = Some(T::TITLE.to_owned());
        listed.output_schema = Some(schema::of_answer::<T::Output>());
        listed.annotations = Some(
            ToolAnnotations::with_title(T::TITLE)
                .read_only(true)
                .destructive(false)
                .idempotent(true)
                .open_world(false),
        );
        Self {
            listed,
            run: |call, arguments| {
                Box::pin(async move {
                    let input = read_arguments::<T>(arguments)?;
                    T::run(call, input).await
                })
            },
        }
    }
}

impl Call {
    /// A transaction that reads what the caller may see.
    pub(super) async fn begin(&self) -> Result<ApiTx, Refusal> {
        Ok(self.api.store.begin(self.tenant).await?)
    }

    /// # Errors
    /// If the key lacks the scope.
    pub(super) fn require(&self, scope: KeyScope) -> Result<(), Refusal> {
        if self.scopes.has(scope) {
            Ok(())
        } else {
            if let Some(lacked) = &self.lacked {
                lacked.note(scope);
            }
            Err(Refusal::missing_scope(scope))
        }
    }

    pub(super) fn may_read_conversations(&self) -> bool {
        self.scopes.has(KeyScope::ConversationsRead)
    }

    /// Makes and reads the cursors of a list. `list` holds its name and what selects it.
    pub(super) fn pager(&self, list: &str) -> Result<Pager<'_>, Refusal> {
        let list = format!("mcp {list}");
        Ok(Pager::new(&self.api.vault, self.tenant, &list, None)?)
    }
}

/// An argument that is an id.
///
/// # Errors
/// If it is none.
pub(super) fn id(name: &str, text: &str) -> Result<Uuid, Refusal> {
    Uuid::try_parse(text.trim()).map_err(|_| {
        let fix =
            "must be an id as the tools give it, such as 0190a1b2-0000-7000-8000-000000000000";
        Refusal::argument(name, fix)
    })
}

fn read_arguments<T: Tool>(arguments: JsonObject) -> Result<T::Input, Refusal> {
    let schema = schema::of_arguments::<T::Input>();
    let known = schema.get("properties").and_then(Value::as_object);
    let names = known.map(|known| known.keys().map(String::as_str).collect::<Vec<_>>());
    let names = names.unwrap_or_default();
    if let Some(stranger) = arguments
        .keys()
        .find(|name| !names.contains(&name.as_str()))
    {
        let fix = format!(
            "is not one of {}, which takes {}",
            T::NAME,
            names.join(", ")
        );
        return Err(Refusal::argument(stranger, &fix));
    }
    serde_path_to_error::deserialize(Strict(Value::Object(arguments))).map_err(|error| {
        let (path, fault) = (error.path().to_string(), error.inner().to_string());
        // A missing argument is a fault of the whole.
        if path == "." {
            Refusal(format!(
                "{}: {fault}. Correct the arguments and call it again.",
                T::NAME
            ))
        } else {
            Refusal::argument(&path, &format!("is wrong: {fault}"))
        }
    })
}
