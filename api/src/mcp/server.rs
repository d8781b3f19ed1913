//! What the protocol asks of a server: who it is, its tools, and its resources.

use std::panic::AssertUnwindSafe;

use axum::http::request::Parts;
use futures::FutureExt;
use rmcp::{
    RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CustomRequest, CustomResult, ErrorCode, ErrorData,
        Implementation, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
        PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse,
        ReadResourceResult, ServerCapabilities, ServerConfig, Tool as ListedTool,
    },
    service::RequestContext,
};

use super::{call::Call, refusal::Refusal, resources, tools::TOOLS};
use crate::{
    Api,
    caller::{CallerScopes, CallerTenant},
    error::ApiError,
};

/// What a model is told before it calls anything.
const INSTRUCTIONS: &str = include_str!("instructions.txt");

/// The methods that are served. A request for one of them that cannot be read has wrong parameters.
const METHODS: [&str; 8] = [
    "initialize",
    "ping",
    "server/discover",
    "tools/list",
    "tools/call",
    "resources/list",
    "resources/templates/list",
    "resources/read",
];

/// The server of one request. It has no session.
#[derive(Clone)]
pub(super) struct McpServer {
    pub(super) api: Api,
}

impl McpServer {
    /// The caller that the gate has proven. There is none only if the route has no gate.
    fn call(&self, context: &RequestContext<RoleServer>) -> Result<Call, ErrorData> {
        let proven = context.extensions.get::<Parts>().and_then(|parts| {
            let tenant = parts.extensions.get::<CallerTenant>()?.0;
            let scopes = parts.extensions.get::<CallerScopes>()?.clone();
            Some((tenant, scopes, parts.extensions.get().cloned()))
        });
        let (tenant, scopes, lacked) =
            proven.ok_or_else(|| ErrorData::internal_error("the caller is not known", None))?;
        Ok(Call {
            api: self.api.clone(),
            tenant,
            scopes,
            lacked,
        })
    }
}

impl ServerHandler for McpServer {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_resources()
            .build();
        let server =
            Implementation::new("pathbound", env!("CARGO_PKG_VERSION")).with_title("Pathbound");
        ServerConfig::new(capabilities)
            .with_server_info(server)
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = TOOLS.iter().map(|tool| tool.listed.clone()).collect();
        Ok(ListToolsResult::with_all_items(tools))
    }

    fn get_tool(&self, name: &str) -> Option<ListedTool> {
        let tool = TOOLS.iter().find(|tool| tool.listed.name == name)?;
        Some(tool.listed.clone())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(tool) = TOOLS.iter().find(|tool| tool.listed.name == request.name) else {
            let names: Vec<&str> = TOOLS.iter().map(|tool| tool.listed.name.as_ref()).collect();
            let message = format!("there is no such tool, there are {}", names.join(", "));
            return Err(ErrorData::invalid_params(message, None));
        };
        let call = self.call(&context)?;
        let run = (tool.run)(&call, request.arguments.unwrap_or_default());
        let answered = unless_it_panics(run).await;
        let is_error = answered.is_err();
        tracing::info!(tool = %tool.listed.name, is_error, "tool called");
        let result = match answered {
            Ok(answer) => answer.into_result(),
            Err(refusal) => refusal.into_result(),
        };
        Ok(result.into())
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(resources::listed()))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(
            resources::templates(),
        ))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let call = self.call(&context)?;
        let contents = unless_it_panics(resources::read(&call, &request.uri)).await;
        // The method has no other error that a reader sees.
        let contents = contents.map_err(|Refusal(text)| {
            let data = serde_json::json!({"uri": request.uri});
            ErrorData::resource_not_found(text, Some(data))
        })?;
        Ok(ReadResourceResult::new(vec![contents]).into())
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        if METHODS.contains(&request.method.as_str()) {
            let message =
                "the parameters of the method cannot be read, check their names and types";
            return Err(ErrorData::invalid_params(message, None));
        }
        let message = format!("there is no such method, there are {}", METHODS.join(", "));
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, message, None))
    }
}

/// A fault of ours is an answer like any other, so that a model can go on.
async fn unless_it_panics<T>(run: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
    let caught = AssertUnwindSafe(run).catch_unwind().await;
    caught.unwrap_or_else(|_| {
        tracing::error!("a tool panicked");
        Err(ApiError::internal().into())
    })
}
