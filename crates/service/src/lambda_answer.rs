//! Answers in the form in which Lambda hands them to a gateway.

use std::collections::BTreeMap;

use axum::{
    http::{HeaderMap, header},
    response::Response,
};
use base64_simd::STANDARD;
use http_body_util::BodyExt;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::BoxError;

/// What is sent as text; all else is sent in base64. Any that is missing here arrives all the same.
const TEXT: [&str; 5] = [
    "application/dash+xml",
    "application/json",
    "application/problem+json",
    "application/vnd.apple.mpegurl",
    "text/",
];

/// How a gateway wants to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// 1.0, of REST APIs: each header may have several values.
    Rest,
    /// 2.0, of HTTP APIs and function URLs: each has one, and commas between the parts.
    Http,
}

/// All of an answer but its body.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    status_code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_value_headers: Option<BTreeMap<String, Vec<String>>>,
    is_base64_encoded: bool,
    /// Segue has none, and no gateway asks for them; `cargo lambda watch` refuses a 2.0 answer that
    /// does not say so.
    #[serde(skip_serializing_if = "Option::is_none")]
    cookies: Option<[String; 0]>,
}

/// Writes `response` as JSON for a gateway.
///
/// A segment is a large part of a megabyte in base64: it is written once, into memory of the right
/// size, and goes from there to the runtime's buffer in one copy.
pub(crate) async fn answer(format: Format, response: Response) -> Result<Box<RawValue>, BoxError> {
    let (head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    let is_base64_encoded = !body.is_empty() && !is_text(&head.headers);
    let mut all = BTreeMap::<String, Vec<String>>::new();
    for (name, value) in &head.headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        all.entry(name.as_str().to_owned()).or_default().push(value);
    }
    let (headers, multi_value_headers, cookies) = match format {
        Format::Rest => (None, Some(all), None),
        Format::Http => {
            let joined = all.into_iter().map(|(name, values)| (name, values.join(", ")));
            (Some(joined.collect()), None, Some([]))
        }
    };
    let status_code = head.status.as_u16();
    let head = Head { status_code, headers, multi_value_headers, is_base64_encoded, cookies };
    let mut head = serde_json::to_string(&head)?;
    // The body is the last member: what ends the object comes behind it.
    head.pop();
    Ok(RawValue::from_string(match body.is_empty() {
        true => head + "}",
        false if is_base64_encoded => with_base64(&head, &body),
        false => {
            let text = serde_json::to_string(std::str::from_utf8(&body)?)?;
            format!("{head},\"body\":{text}}}")
        }
    })?)
}

/// Ends `head` with a body in base64, of which nothing has to be escaped in JSON.
fn with_base64(head: &str, body: &[u8]) -> String {
    let [before, after] = [",\"body\":\"", "\"}"];
    let length = head.len() + before.len() + STANDARD.encoded_length(body.len()) + after.len();
    let mut json = String::with_capacity(length);
    json.push_str(head);
    json.push_str(before);
    STANDARD.encode_append(body, &mut json);
    json.push_str(after);
    json
}

fn is_text(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    !headers.contains_key(header::CONTENT_ENCODING)
        && content_type.is_some_and(|given| TEXT.iter().any(|text| given.starts_with(text)))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use serde_json::{Value, json};

    use super::*;

    async fn written(format: Format, headers: &[(&str, &str)], body: &'static [u8]) -> Value {
        let mut response = Response::builder();
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let response = response.body(Body::from(body)).expect("is a response");
        let answer = answer(format, response).await.expect("has a body");
        serde_json::from_str(answer.get()).expect("is JSON")
    }

    #[tokio::test]
    async fn bytes_are_sent_in_base64_and_text_as_it_is() {
        let audio = written(Format::Http, &[("content-type", "audio/mp4")], b"\0\xffmoof").await;
        assert_eq!((&audio["body"], &audio["isBase64Encoded"]), (&json!("AP9tb29m"), &json!(true)));
        let list = [("content-type", "application/vnd.apple.mpegurl")];
        let text = written(Format::Http, &list, b"#EXTM3U\n\"").await;
        assert_eq!(
            (&text["body"], &text["isBase64Encoded"]),
            (&json!("#EXTM3U\n\""), &json!(false))
        );
        let gzip = [list[0], ("content-encoding", "gzip")];
        assert_eq!(written(Format::Http, &gzip, b"\x1f\x8b").await["isBase64Encoded"], true);
        assert_eq!(written(Format::Http, &[], b"").await.get("body"), None);
    }

    #[tokio::test]
    async fn headers_are_told_as_each_gateway_reads_them() {
        let headers = [("vary", "origin"), ("vary", "accept-encoding"), ("etag", "\"a\"")];
        let http = written(Format::Http, &headers, b"").await;
        assert_eq!(http["headers"], json!({ "vary": "origin, accept-encoding", "etag": "\"a\"" }));
        let rest = written(Format::Rest, &headers, b"").await;
        assert_eq!(
            rest["multiValueHeaders"],
            json!({ "vary": ["origin", "accept-encoding"], "etag": ["\"a\""] })
        );
        assert_eq!(rest.get("headers"), None);
        assert_eq!((&http["cookies"], rest.get("cookies")), (&json!([]), None));
    }
}
