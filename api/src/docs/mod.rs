//! What people and programs read about the API: `/openapi.json`, `/docs`, and a page for each code of a problem.
//!
//! The pages are made from the description once, on their first request. They load nothing and run nothing.
//!
//! | file | renders |
//! |---|---|
//! | `page.rs` | the whole page |
//! | `call.rs` | one call |
//! | `shape.rs` | types and members |
//! | `problem_page.rs` | the page of a code |
//! | `html.rs` | text, and the frame of every page |

mod call;
mod html;
mod page;
mod problem_page;
mod shape;

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::header,
    response::{IntoResponse, Response},
};

use crate::{codes::Code, error::ApiError, openapi};

/// The pages change with a build only.
const CACHED: &str = "public, max-age=300";

static PAGE: LazyLock<String> = LazyLock::new(|| page::render(&openapi::document()));

/// `GET /openapi.json`
pub(crate) async fn description() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, CACHED),
    ];
    (headers, openapi::SERVED.clone()).into_response()
}

/// `GET /docs`
pub(crate) async fn page() -> Response {
    html::response(PAGE.clone())
}

/// `GET /docs/problems/{code}`
pub(crate) async fn problem(Path(code): Path<String>) -> Result<Response, ApiError> {
    let code = Code::named(&code).ok_or_else(ApiError::not_found)?;
    Ok(html::response(problem_page::render(code)))
}

#[cfg(test)]
mod tests;
