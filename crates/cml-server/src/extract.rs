//! Parts of a request, read with errors that name the field.

use std::{str::FromStr, time::Duration};

use axum::{
    body::{Body as RawBody, BodyDataStream},
    extract::{FromRequest, FromRequestParts, Path, Request},
    http::{HeaderMap, StatusCode, header::CONTENT_ENCODING, request::Parts},
};
use bytes::Bytes;
use cml_core::{
    Error, ErrorKind, Result,
    scope::{MAX_ID_CHARS, ScopeParts, check_id},
};
use futures_util::StreamExt as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

use crate::{app::App, error::Failure};

/// Largest JSON of a request that is no batch.
const SMALL_BODY: usize = 4 << 20;
/// Most values in a body: each takes many times its bytes once it is read.
const MAX_VALUES: usize = 2_000_000;
/// Largest body that is read a second time for the sake of its nulls.
const NULLS_WITHIN: usize = 1 << 20;
/// Largest body that is read where it would hold up other requests.
const READ_AT_ONCE: usize = 256 << 10;
/// How much of a body beyond the limit is read, and for how long.
pub(crate) const DRAIN_BYTES: usize = 64 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// A JSON object. An empty body is an empty object, and a null at the top is an absent field.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

/// As [`Body`], as large as the configuration allows.
#[derive(Debug)]
pub(crate) struct LargeBody<T>(pub(crate) T);

/// A JSON object that holds a request and the parts of the scope beside it.
#[derive(Debug)]
pub(crate) struct Call<P, T>(pub(crate) P, pub(crate) T);

/// A query string. Lists are repeated keys, objects are their JSON text.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

/// The UUID in the path.
#[derive(Debug)]
pub(crate) struct Id<T>(pub(crate) T);

/// The caller's own id in the path: a session or a user.
#[derive(Debug)]
pub(crate) struct Name(pub(crate) String);

impl<T: DeserializeOwned + Send + 'static> FromRequest<App> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        let bytes = read(request, app, SMALL_BODY).await?;
        parse(bytes, |bytes| from_json(bytes).map(Self)).await
    }
}

impl<T: DeserializeOwned + Send + 'static> FromRequest<App> for LargeBody<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        let bytes = read(request, app, usize::MAX).await?;
        parse(bytes, |bytes| from_json(bytes).map(Self)).await
    }
}

impl<P, T> FromRequest<App> for Call<P, T>
where
    P: DeserializeOwned + Send + 'static,
    T: DeserializeOwned + Send + 'static,
{
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        let bytes = read(request, app, SMALL_BODY).await?;
        parse(bytes, |bytes| Ok(Self(from_json(bytes)?, from_json(bytes)?))).await
    }
}

impl<T: DeserializeOwned> FromRequestParts<App> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, Failure> {
        let text = parts.uri.query().unwrap_or_default();
        let deserializer = serde_html_form::Deserializer::from_bytes(text.as_bytes());
        serde_path_to_error::deserialize(deserializer)
            .map(Self)
            .map_err(|error| Failure::from(invalid(error.path(), &error.inner().to_string())).at("query"))
    }
}

impl<T: FromStr<Err = Error>> FromRequestParts<App> for Id<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let text = path(parts, app).await?;
        let id = text.parse().map_err(|error: Error| Failure::from(error).at("path"))?;
        Ok(Self(id))
    }
}

impl FromRequestParts<App> for Name {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let text = path(parts, app).await?;
        check_id("id", &text, MAX_ID_CHARS).map_err(|error| Failure::from(error).at("path"))?;
        Ok(Self(text))
    }
}

/// The id in a header, where there is one.
///
/// # Errors
/// `InvalidInput` naming the header unless it is UTF-8 and an id.
pub(crate) fn id_header(headers: &HeaderMap, name: &'static str) -> Result<Option<String>, Failure> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = str::from_utf8(value.as_bytes())
        .map_err(|error| Error::invalid(name, "must be UTF-8 text").with_source(error));
    let id = text.and_then(|text| check_id(name, text, MAX_ID_CHARS).map(|()| text.to_owned()));
    id.map(Some).map_err(|error| Failure::from(error).at("header"))
}

async fn path(parts: &mut Parts, app: &App) -> Result<String, Failure> {
    Path::<String>::from_request_parts(parts, app).await.map(|Path(text)| text).map_err(|rejection| {
        Failure::from(Error::invalid("id", "must be percent-encoded UTF-8").with_source(rejection)).at("path")
    })
}

/// The body of at most `most` bytes. A sender has the time of one request, also where the work has more.
async fn read(request: Request, app: &App, most: usize) -> Result<Bytes, Failure> {
    check_encoding(request.headers())?;
    let server = &app.config().server;
    let body = collect(request.into_body(), server.max_body_bytes, most);
    timeout(server.request_timeout, body).await.unwrap_or_else(|_elapsed| {
        let error = Error::new(ErrorKind::Timeout, "the body did not come in time");
        Err(error.with_suggestion("send the request again").into())
    })
}

/// What `parse` makes of a body, on a thread of its own where that takes long.
async fn parse<T: Send + 'static>(
    bytes: Bytes,
    parse: impl FnOnce(&[u8]) -> Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let large = bytes.len() > READ_AT_ONCE;
    let parse = move || {
        if too_many_values(&bytes) {
            return Err(Failure::too_large(format!("more than {MAX_VALUES} values"), "send less at once"));
        }
        Ok(parse(&bytes)?)
    };
    if large {
        return tokio::task::spawn_blocking(parse).await.unwrap_or_else(|error| {
            Err(Error::new(ErrorKind::Internal, "a body could not be read").with_source(error).into())
        });
    }
    parse()
}

/// Whether the JSON holds more than [`MAX_VALUES`] values: each but the first comes after one of `[{,`.
fn too_many_values(bytes: &[u8]) -> bool {
    if bytes.len() <= MAX_VALUES {
        return false;
    }
    let (mut values, mut quoted, mut escaped) = (0, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' | b',' if !quoted => values += 1,
            _ => {}
        }
    }
    values > MAX_VALUES
}

/// Refuses an encoding that was not undone on the way in.
///
/// # Errors
/// `InvalidInput` under status 415.
pub(crate) fn check_encoding(headers: &HeaderMap) -> Result<(), Failure> {
    match headers.get(CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => {
            let error =
                Error::new(ErrorKind::InvalidInput, "the content encoding is not one that the server reads")
                    .with_suggestion("send the body as it is, or with gzip");
            Err(Failure::from(error).with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE))
        }
        _ => Ok(()),
    }
}

async fn collect(mut body: RawBody, configured: usize, most: usize) -> Result<Bytes, Failure> {
    let limit = configured.min(most);
    match Limited::new(&mut body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => {
            drain(&mut body.into_data_stream(), DRAIN_BYTES).await;
            let remedy = match configured <= most {
                true => "send less at once, or raise server.max_body_bytes",
                false => "send less at once",
            };
            Err(Failure::too_large(format!("more than {limit} bytes"), remedy))
        }
        Err(error) => {
            let what = "the body ended early, or its encoding is broken";
            Err(Error::new(ErrorKind::InvalidInput, what).with_source(error).into())
        }
    }
}

/// Reads what is left of a refused body, up to `most` bytes: a sender that is cut off in mid-body may miss
/// the answer. Whoever sends on for too long does.
pub(crate) async fn drain(body: &mut BodyDataStream, most: usize) {
    let rest = async {
        let mut left = most;
        while let Some(Ok(chunk)) = body.next().await {
            let Some(less) = left.checked_sub(chunk.len()) else { break };
            left = less;
        }
    };
    let _ = timeout(DRAIN_TIME, rest).await;
}

/// The value of a JSON object.
///
/// # Errors
/// `InvalidInput` naming the field.
fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let bytes = if bytes.trim_ascii().is_empty() { b"{}" } else { bytes };
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(Error::invalid("", "must be a JSON object"));
    }
    typed(bytes).or_else(|error| without_nulls(bytes).and_then(|bytes| typed(&bytes).ok()).ok_or(error))
}

fn typed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let inner = error.inner();
        if !inner.is_data() {
            return syntax(inner);
        }
        match segments(error.path()).is_empty() {
            // Fields that are flattened into a request lose their path: the parts of a scope.
            true => located::<ScopeParts>(bytes).unwrap_or_else(|| invalid(error.path(), &inner.to_string())),
            false => invalid(error.path(), &inner.to_string()),
        }
    })?;
    deserializer.end().map_err(|error| syntax(&error))?;
    Ok(value)
}

fn located<T: DeserializeOwned>(bytes: &[u8]) -> Option<Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let error = serde_path_to_error::deserialize::<_, T>(&mut deserializer).err()?;
    Some(invalid(error.path(), &error.inner().to_string()))
}

fn syntax(error: &serde_json::Error) -> Error {
    Error::invalid("", format!("is no valid JSON at line {} column {}", error.line(), error.column()))
}

/// The object without the fields that are null, unless there are none or it is large.
fn without_nulls(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.len() > NULLS_WITHIN {
        return None;
    }
    let mut fields: serde_json::Map<String, Value> = serde_json::from_slice(bytes).ok()?;
    let before = fields.len();
    fields.retain(|_, value| !value.is_null());
    (fields.len() < before).then(|| serde_json::to_vec(&fields).ok()).flatten()
}

fn segments(path: &serde_path_to_error::Path) -> Vec<String> {
    use serde_path_to_error::Segment;
    let name = |segment: &Segment| match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.clone()),
        Segment::Enum { variant } => Some(variant.clone()),
        Segment::Unknown => None,
    };
    path.iter().filter_map(name).collect()
}

/// `InvalidInput` on the field at `path`, by what serde says of it but for the value that it was given.
fn invalid(path: &serde_path_to_error::Path, said: &str) -> Error {
    let mut field = segments(path);
    let said = said.rsplit_once(" at line ").map_or(said, |(said, _)| said);
    let quoted = |text: &str| text.split('`').nth(1).unwrap_or_default().to_owned();
    let message = if said.starts_with("missing field") {
        field.push(quoted(said));
        "is required".to_owned()
    } else if said.starts_with("duplicate field") {
        field.push(quoted(said));
        "must be given once".to_owned()
    } else if let Some((_, expected)) = said.rsplit_once(", expected ") {
        format!("must be {}", plain(expected))
    } else if let Some((_, rule)) = said.split_once(": must ") {
        format!("must {rule}")
    } else if said.contains("UUID") {
        "must be a UUID".to_owned()
    } else if said.contains("number too") || said.contains("integer") || said.contains("invalid digit") {
        "must be a whole number in range".to_owned()
    } else {
        "is not valid".to_owned()
    };
    Error::invalid(field.join("."), message)
}

/// What serde expects, without the names of our types.
fn plain(expected: &str) -> String {
    match expected {
        "usize" | "u64" | "u32" => "a whole number, 0 or more".to_owned(),
        "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "an object".to_owned(),
        text if text.contains("\"true\"") => "true or false".to_owned(),
        text if text.starts_with("struct") => "an object".to_owned(),
        other => other.replace('`', ""),
    }
}

#[cfg(test)]
mod tests {
    use cml_core::{
        memory::MemoryType,
        ops::{ListFacts, ListRequest, ReadRequest, UpdateRequest, WriteRequest},
        wire::WriteBatch,
    };

    use super::*;

    fn fault<T: DeserializeOwned>(json: &str) -> (String, String) {
        let error = from_json::<T>(json.as_bytes()).err();
        let field = error.as_ref().and_then(|error| error.fields().first());
        field.map(|field| (field.field.clone(), field.message.clone())).unwrap_or_default()
    }

    #[test]
    fn an_error_names_its_field_and_never_the_value() {
        for ((field, message), expected) in [
            (fault::<WriteRequest>("{}"), ("content", "is required")),
            (fault::<WriteRequest>(r#"{"content": 5}"#), ("content", "must be a string")),
            (fault::<WriteRequest>(r#"{"content": "x", "namespace": 5}"#), ("namespace", "must be a string")),
            (fault::<WriteBatch>(r#"{"turns": [{"content": "x"}, {}]}"#), ("turns.1.content", "is required")),
            (
                fault::<ReadRequest>(r#"{"max_results": "secret"}"#),
                ("max_results", "must be a whole number, 0 or more"),
            ),
            (fault::<ReadRequest>(r#"{"filter": {"eq": 5}}"#), ("filter.eq", "must be an object")),
            (fault::<ReadRequest>(r#"{"query": "x""#), ("", "is no valid JSON at line 1 column 13")),
            (fault::<ReadRequest>(r#"{"query": "x"} x"#), ("", "is no valid JSON at line 1 column 16")),
            (fault::<ReadRequest>("[]"), ("", "must be a JSON object")),
            (fault::<UpdateRequest>(r#"{"memory_id": "x"}"#), ("memory_id", "must be a UUID")),
            (
                fault::<ReadRequest>(r#"{"since": "soon"}"#),
                ("since", "must be a time such as 2026-05-07T09:30:00Z"),
            ),
        ] {
            assert_eq!((field.as_str(), message.as_str()), expected);
        }
        let (field, message) = fault::<ReadRequest>(r#"{"memory_types": ["dream"]}"#);
        assert_eq!(field, "memory_types.0");
        assert!(message.starts_with("must be one of episodic_event"), "{message}");
    }

    #[test]
    fn an_error_in_a_query_names_its_field() {
        let fault = |text: &str| {
            let deserializer = serde_html_form::Deserializer::from_bytes(text.as_bytes());
            let error = serde_path_to_error::deserialize::<_, ListFacts>(deserializer).err()?;
            let error = invalid(error.path(), &error.inner().to_string());
            error.fields().first().map(|field| format!("{}: {}", field.field, field.message))
        };
        for (text, expected) in [
            ("limit=many", "limit: must be a whole number in range"),
            ("limit=", "limit: must be a whole number in range"),
            ("offset=99999999999999999999999", "offset: must be a whole number in range"),
            ("current_only=maybe", "current_only: must be true or false"),
        ] {
            assert_eq!(fault(text).as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_null_is_an_absent_field() -> Result<()> {
        let request: ReadRequest = from_json(br#"{"query": "x", "memory_types": null, "since": null}"#)?;
        assert_eq!(request, ReadRequest::new("x"));
        Ok(())
    }

    #[test]
    fn values_are_counted_and_what_stands_in_strings_is_not() {
        let list = |item: &str, times: usize| format!("[{}1]", item.repeat(times));
        assert!(!too_many_values(list("1,", MAX_VALUES - 1).as_bytes()));
        assert!(too_many_values(list("1,", MAX_VALUES).as_bytes()));
        assert!(too_many_values("[{".repeat(MAX_VALUES).as_bytes()));
        assert!(!too_many_values(list(r#""[,\",","#, MAX_VALUES / 2).as_bytes()));
    }

    #[test]
    fn a_query_reads_numbers_lists_and_filters() -> Result<(), Box<dyn std::error::Error>> {
        let text = "limit=5&memory_types=plan&memory_types=procedure&context_filter=a\
                    &filter=%7B%22eq%22%3A%7B%22field%22%3A%22a%22%2C%22value%22%3A1%7D%7D&order=asc";
        let request: ListRequest = serde_html_form::from_str(text)?;
        assert_eq!(request.limit, 5);
        assert_eq!(request.memory_types, [MemoryType::Plan, MemoryType::Procedure]);
        assert_eq!(request.context_filter, ["a"]);
        assert!(request.filter.is_some());
        Ok(())
    }
}
