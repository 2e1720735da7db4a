//! Requests as the events that the platforms before a function make of them, and back.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use crate::http_client::{Answer, Request};

/// What EventBridge sends when a schedule is due.
///
/// # Panics
/// Never.
#[must_use]
pub fn schedule() -> Value {
    parse(include_str!("../events/schedule.json"))
}

/// A job, as `crud` sends it to itself.
#[must_use]
pub fn job(job: &Value) -> Value {
    json!({ "segue_job": job })
}

/// An HTTP API with payload format 2.0. `stage` is `$default` or a name, which then begins the path.
///
/// It decodes the path.
#[must_use]
pub fn http_api(request: &Request, stage: &str) -> Value {
    let mut event = payload_2(include_str!("../events/http_api.json"), request);
    let path = percent_decode_str(request.path_and_query().0).decode_utf8_lossy();
    event["rawPath"] = json!(path);
    event["requestContext"]["http"]["path"] = json!(path);
    event["requestContext"]["stage"] = json!(stage);
    event
}

/// A function URL.
#[must_use]
pub fn function_url(request: &Request) -> Value {
    payload_2(include_str!("../events/function_url.json"), request)
}

/// A REST API, whose stage `prod` is not in the path, or the mapping of a custom domain, which is.
#[must_use]
pub fn rest_api(request: &Request, base_path: &str) -> Value {
    let mut event = parse(include_str!("../events/rest_api.json"));
    let (path, query) = request.path_and_query();
    event["path"] = json!(path);
    event["httpMethod"] = json!(request.method);
    event["pathParameters"]["proxy"] = json!(path.trim_start_matches('/'));
    event["requestContext"]["httpMethod"] = json!(request.method);
    event["requestContext"]["path"] = json!(format!("{base_path}{path}"));
    let (one, many) = last_and_all(headers(request));
    event["headers"] = one;
    event["multiValueHeaders"] = many;
    if !query.is_empty() {
        let (one, many) = last_and_all(query_pairs(query));
        event["queryStringParameters"] = one;
        event["multiValueQueryStringParameters"] = many;
    }
    set_body(&mut event, request);
    event
}

fn payload_2(event: &str, request: &Request) -> Value {
    let mut event = parse(event);
    let (path, query) = request.path_and_query();
    event["rawPath"] = json!(path);
    event["rawQueryString"] = json!(query);
    event["requestContext"]["http"]["method"] = json!(request.method);
    event["requestContext"]["http"]["path"] = json!(path);
    event["headers"] = joined(headers(request));
    if !query.is_empty() {
        event["queryStringParameters"] = joined(query_pairs(query));
    }
    set_body(&mut event, request);
    event
}

/// The client's headers, and those that a gateway adds.
fn headers(request: &Request) -> Vec<(String, String)> {
    let host = "segue.example.net";
    let mut headers: Vec<(String, String)> = [
        ("Host", host),
        ("X-Amzn-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700"),
        ("X-Forwarded-For", "192.0.2.1"),
        ("X-Forwarded-Port", "443"),
        ("X-Forwarded-Proto", "https"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    if !request.body.is_empty() {
        headers.push(("Content-Length".into(), request.body.len().to_string()));
    }
    headers.extend(request.headers.iter().cloned());
    headers
}

fn query_pairs(query: &str) -> Vec<(String, String)> {
    let decode =
        |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(name, value)| (decode(name), decode(value))).collect()
}

/// Payload format 2.0: names in lower case, values of one name with commas between.
fn joined(pairs: Vec<(String, String)>) -> Value {
    let mut all = BTreeMap::<String, Vec<String>>::new();
    for (name, value) in pairs {
        all.entry(name.to_ascii_lowercase()).or_default().push(value);
    }
    all.into_iter()
        .map(|(name, values)| (name, json!(values.join(","))))
        .collect::<Map<_, _>>()
        .into()
}

/// Payload format 1.0: the last value of each name, and all of them.
fn last_and_all(pairs: Vec<(String, String)>) -> (Value, Value) {
    let mut all = BTreeMap::<String, Vec<String>>::new();
    for (name, value) in pairs {
        all.entry(name).or_default().push(value);
    }
    let last: Map<_, _> =
        all.iter().map(|(name, values)| (name.clone(), json!(values.last()))).collect();
    (last.into(), json!(all))
}

/// A gateway takes for text what says that it is, and encodes the rest.
fn set_body(event: &mut Value, request: &Request) {
    if request.body.is_empty() {
        return;
    }
    let content_type = request.header_value("content-type").unwrap_or_default();
    let is_text = content_type.starts_with("text/") || content_type.starts_with("application/json");
    if let Ok(text) = std::str::from_utf8(&request.body)
        && is_text
    {
        event["body"] = json!(text);
    } else {
        event["body"] = json!(BASE64_STANDARD.encode(&request.body));
        event["isBase64Encoded"] = json!(true);
    }
}

/// What a gateway sends on, of what a function answered.
///
/// # Panics
/// If it would answer 502 in its place.
#[must_use]
pub fn answer(response: &Value) -> Answer {
    let status = response["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok());
    let body = response["body"].as_str().unwrap_or_default();
    let body = if response["isBase64Encoded"] == true {
        Bytes::from(BASE64_STANDARD.decode(body).expect("the body is base64"))
    } else {
        Bytes::from(body.to_owned())
    };
    let status = status.unwrap_or_else(|| panic!("has no status: {response}"));
    let mut answer = Answer { status, headers: BTreeMap::new(), body };
    let mut add = |name: &str, value: &Value| {
        let value = value.as_str().unwrap_or_else(|| panic!("{name} is no text: {value}"));
        answer.add_header(name, value);
    };
    for (name, value) in response["headers"].as_object().into_iter().flatten() {
        add(name, value);
    }
    for (name, values) in response["multiValueHeaders"].as_object().into_iter().flatten() {
        values.as_array().into_iter().flatten().for_each(|value| add(name, value));
    }
    answer
}

fn parse(event: &str) -> Value {
    serde_json::from_str(event).expect("the file is JSON")
}
