//! The fuzzer's targets: JSON-RPC calls, and requests to REST and the page, on a chain of 120 headers.

use super::options::{RpcCredentials, ServerOptions};
use super::page::PageContext;
use super::rpc::RpcCode;
use super::service::HttpService;
use super::{RpcAuthenticator, ServerState, metrics};
use crate::client::Client;
use crate::primitives::Network;
use crate::store::mine_for_fuzz;
use axum::body::{Body, Bytes};
use axum::http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::Value;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::time::timeout;

/// How long to wait for an answer. Some calls wait for a new tip or for peers, which do not come.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(50);

/// `me:secret` in base64.
const CREDENTIALS: &str = "Basic bWU6c2VjcmV0";

struct Service {
    runtime: Runtime,
    http: HttpService,
}

static SERVICE: LazyLock<Service> = LazyLock::new(|| {
    // Nothing removes the folder: the server uses it until the process ends.
    let folder = tempfile::tempdir().unwrap().keep();
    mine_for_fuzz(&folder.join("regtest"), 120);
    let client = Client::builder(Network::Regtest).data_dir(&folder).connect("127.0.0.1:1");
    let client = Arc::new(client.dns(false).build().unwrap());
    let options = ServerOptions {
        bind: Vec::new(),
        allowed_hosts: Vec::new(),
        credentials: RpcCredentials {
            users: Vec::new(),
            password: Some(("me".to_owned(), "secret".to_owned())),
            cookie_file: folder.join("cookie"),
        },
        rest: true,
        page: true,
        block_notify: None,
        reorg_notify: None,
        command_options: String::new(),
    };
    metrics::start();
    let authenticator = Arc::new(RpcAuthenticator::new(&options.credentials).unwrap());
    let state = Arc::new(ServerState::new(client, watch::channel(false).0));
    let page = Some(Arc::new(PageContext::new(Arc::clone(&state), &options, &[])));
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    Service { runtime, http: HttpService::new(state, authenticator, &options, page) }
});

/// Returns the status and the whole body, if they came in time.
fn answer(request: Request<Body>) -> Option<(StatusCode, Bytes)> {
    let answer = async {
        let response = SERVICE.http.answer(request).await;
        let status = response.status();
        Some((status, response.into_body().collect().await.ok()?.to_bytes()))
    };
    SERVICE.runtime.block_on(async { timeout(ANSWER_TIMEOUT, answer).await.ok()? })
}

/// Sends the input as the body of a JSON-RPC request.
pub(crate) fn fuzz_rpc(bytes: &[u8]) {
    let request = Request::builder()
        .method(Method::POST)
        .uri("/")
        .header(header::AUTHORIZATION, CREDENTIALS)
        .body(Body::from(bytes.to_vec()))
        .unwrap();
    let Some((status, body)) = answer(request) else { return };
    if status == StatusCode::NO_CONTENT {
        return assert!(body.is_empty());
    }
    let reply: Value = serde_json::from_slice(&body).expect("every reply is JSON");
    match &reply {
        Value::Array(replies) => {
            assert_eq!(status, StatusCode::OK);
            let calls: Vec<Value> = serde_json::from_slice(bytes).unwrap_or_default();
            // `Value` refuses JSON that the server accepts, such as the number 1e999. Then `calls` is empty.
            assert!(replies.len() <= calls.len() || calls.is_empty());
            replies.iter().for_each(check_reply);
        }
        _ => {
            check_reply(&reply);
            assert!(matches!(status.as_u16(), 200 | 400 | 404 | 500), "{status}");
        }
    }
}

/// Checks that a reply does not have both a result and an error, and that an error is not an internal one.
fn check_reply(reply: &Value) {
    let has = |key: &str| reply.get(key).is_some_and(|value| !value.is_null());
    assert!(!(has("result") && has("error")), "{reply}");
    if has("error") {
        let code = reply["error"]["code"].as_i64().unwrap();
        assert_ne!(code, RpcCode::InternalError as i64, "{reply}");
        assert!(reply["error"]["message"].is_string());
    }
}

/// Sends the input as a GET request: the first line is the path and query, the other lines are headers.
pub(crate) fn fuzz_http(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut lines = text.lines();
    let mut request = Request::builder().uri(lines.next().unwrap_or("/"));
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        request = request.header(name, value);
    }
    let Ok(request) = request.body(Body::empty()) else { return };
    let is_metrics = request.uri().path() == "/metrics";
    let Some((status, body)) = answer(request) else { return };
    assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "{body:?}");
    assert!(is_metrics || !body.is_empty() || !status.is_server_error());
}
