//! The page shows whether the chain is current, and what is in its headers.
//!
//! The server makes the HTML, so the page works without the script. The script keeps the page up to date, and lets the
//! user zoom charts by dragging. The page loads nothing from other servers.

mod assets;
mod chart;
mod commands;
mod context;
mod events;
mod front_data;
mod header_data;
mod search;
mod status;
mod view;

pub(super) use context::PageContext;
pub(super) use events::publish;

use crate::output::plot::{Embedding, Plot, file_style, png, svg};
use axum::Router;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, header};
use axum::middleware;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use chart::ChartQuery;
use context::PageError;
use data_encoding::BASE64;
use maud::Markup;
use search::SearchResult;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Returns the routes of the page.
pub(super) fn router(context: Arc<PageContext>) -> Router {
    Router::new()
        .route("/", get(front))
        .route("/header/{what}", get(header_page))
        .route("/search", get(search_for))
        .route("/chart/{file}", get(chart_file))
        .route(
            "/events",
            get(|State(context): State<Arc<PageContext>>| async move { events::stream(&context) }),
        )
        .route("/page/{name}", get(assets::file))
        .layer(middleware::from_fn(assets::add_security_headers))
        .with_state(context)
}

async fn front(
    State(context): State<Arc<PageContext>>,
    query: Result<Query<ChartQuery>, QueryRejection>,
) -> Response {
    let read = context.read(move |context| {
        let Query(query) = query?;
        Ok((front_data::read(context)?, chart::front_chart(context, &query)?))
    });
    match read.await {
        Ok((facts, chart)) => html(view::front(context.state.params(), &facts, &chart)),
        Err(error) => failed(&context, &error),
    }
}

async fn header_page(
    State(context): State<Arc<PageContext>>,
    what: Result<Path<String>, PathRejection>,
) -> Response {
    match context.read(move |context| header_data::read(context, &what?)).await {
        Ok(facts) => html(view::header(context.state.params(), &context.commands, &facts)),
        Err(error) => failed(&context, &error),
    }
}

#[derive(Debug, Deserialize)]
struct SearchQuery {
    #[serde(default)]
    q: String,
}

async fn search_for(
    State(context): State<Arc<PageContext>>,
    query: Result<Query<SearchQuery>, QueryRejection>,
) -> Response {
    let found = context.read(move |context| {
        let Query(SearchQuery { q }) = query?;
        if q.trim().is_empty() {
            return Ok("/".to_owned());
        }
        Ok(match search::find(&mut context.state.chain(), &q)? {
            SearchResult::Height(height) => format!("/header/{height}"),
            SearchResult::Hash(hash) => format!("/header/{hash}"),
            // The page for a time says that it shows the last block at or before that time.
            SearchResult::Time { unix, .. } => format!("/header/{unix}"),
        })
    });
    match found.await {
        Ok(address) => Redirect::to(&address).into_response(),
        Err(error) => failed(&context, &error),
    }
}

async fn chart_file(
    State(context): State<Arc<PageContext>>,
    file: Result<Path<String>, PathRejection>,
    query: Result<Query<ChartQuery>, QueryRejection>,
) -> Response {
    let drawn = context.read(move |context| {
        let (Path(file), Query(query)) = (file?, query?);
        let (name, form) = file.rsplit_once('.').unwrap_or((&file, ""));
        let draw: fn(&Plot) -> Response = match form {
            "svg" => svg_answer,
            "png" => png_answer,
            _ => return Err(PageError::NotFound("Charts are .svg or .png.".to_owned())),
        };
        Ok(draw(&chart::named_chart(context, name, &query)?.plot))
    });
    drawn.await.unwrap_or_else(IntoResponse::into_response)
}

fn svg_answer(plot: &Plot) -> Response {
    // The only style that is allowed is the chart's own.
    let digest = BASE64.encode(&Sha256::digest(file_style().as_bytes()));
    let policy = format!("default-src 'none'; style-src 'sha256-{digest}'");
    let mut response =
        ([(header::CONTENT_TYPE, "image/svg+xml")], svg(plot, Embedding::File)).into_response();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

fn png_answer(plot: &Plot) -> Response {
    match png(plot) {
        Ok(bytes) => ([(header::CONTENT_TYPE, "image/png")], bytes).into_response(),
        Err(error) => PageError::Picture(error.to_string()).into_response(),
    }
}

fn html(page: Markup) -> Response {
    Html(page.into_string()).into_response()
}

fn failed(context: &PageContext, error: &PageError) -> Response {
    let status = error.status();
    let title = status.canonical_reason().unwrap_or("Error");
    (status, html(view::failure(context.state.params(), title, &error.to_string()))).into_response()
}
