//! Writes: one alone, or many in slices.

use cml_core::{
    Error, ErrorKind, Result, Scope,
    ops::{WriteRequest, WriteResponse},
    wire::{MAX_BATCH, WriteBatch, WriteBatchResponse, WriteResult, path, status_of},
};

use crate::{backend::Open, call::Call, error, retry::Repeat};

/// Bytes of JSON from which on a slice is sent; a server takes a multiple of it.
const SLICE_BYTES: usize = 8 << 20;

/// One result per request, in order. A request that breaks a rule is not sent.
///
/// # Errors
/// As a whole when nothing could be sent. Where some slices arrived and one did not, that one's requests
/// have its error.
pub(crate) async fn write(
    open: Open<'_>,
    scope: &Scope,
    requests: Vec<WriteRequest>,
) -> Result<Vec<Result<WriteResponse>>> {
    let mut results = Vec::with_capacity(requests.len());
    let mut good = Vec::with_capacity(requests.len());
    let mut repeat = Repeat::Same;
    for request in requests {
        match prepare(open, scope, request) {
            Ok((request, its_repeat)) => {
                repeat = its_repeat;
                good.push(request);
                results.push(None);
            }
            Err(error) => results.push(Some(Err(error))),
        }
    }
    let mut written = if let Some(original) = open.original() {
        original.write(scope, good).await?
    } else if good.len() == 1 {
        vec![single(open, scope, &good[0], repeat).await?]
    } else {
        slices(open, scope, good, repeat).await?
    }
    .into_iter();
    let in_order = results.into_iter().map(|result| result.or_else(|| written.next()));
    Ok(in_order.flatten().collect())
}

fn prepare(open: Open<'_>, scope: &Scope, mut request: WriteRequest) -> Result<(WriteRequest, Repeat)> {
    request.validate()?;
    request.scope = (&scope.narrow(&request.scope)?).into();
    let repeat = open.keyed(&mut request.idempotency_key);
    Ok((request, repeat))
}

/// A write on its own route. What concerns the request is its result, everything else an error.
async fn single(
    open: Open<'_>,
    scope: &Scope,
    request: &WriteRequest,
    repeat: Repeat,
) -> Result<Result<WriteResponse>> {
    let call = Call::post(path::WRITE, request, repeat)?.of(scope).eval_mode(request.eval_mode);
    of_item(open.client.json(call).await)
}

/// Tells an error of the request from one of the connection.
pub(crate) fn of_item<T>(outcome: Result<T>) -> Result<Result<T>> {
    match outcome {
        Err(error)
            if !matches!(
                error.kind(),
                ErrorKind::InvalidInput | ErrorKind::Conflict | ErrorKind::NotFound
            ) =>
        {
            Err(error)
        }
        outcome => Ok(outcome),
    }
}

async fn slices(
    open: Open<'_>,
    scope: &Scope,
    requests: Vec<WriteRequest>,
    repeat: Repeat,
) -> Result<Vec<Result<WriteResponse>>> {
    let mut results = Vec::with_capacity(requests.len());
    let mut arrived = false;
    let mut failed: Option<Error> = None;
    for turns in cut(requests) {
        let items = turns.len();
        if failed.is_none() {
            match send(open, scope, turns, repeat).await {
                Ok(slice) => {
                    arrived = true;
                    results.extend(slice);
                    continue;
                }
                Err(error) if !arrived => return Err(error),
                Err(error) => failed = Some(error),
            }
        }
        if let Some(error) = &failed {
            results.extend((0..items).map(|_| Err(error::copy(error))));
        }
    }
    Ok(results)
}

async fn send(
    open: Open<'_>,
    scope: &Scope,
    turns: Vec<WriteRequest>,
    repeat: Repeat,
) -> Result<Vec<Result<WriteResponse>>> {
    let items = turns.len();
    let call = Call::post(path::WRITE_BATCH, &WriteBatch { turns }, repeat)?.of(scope);
    let answer: WriteBatchResponse = open.client.json(call).await?;
    if answer.results.len() != items {
        let told = answer.results.len();
        let message = format!("the server answered {told} of {items} writes of a batch");
        return Err(Error::new(ErrorKind::Internal, message));
    }
    let results = answer.results.into_iter().map(|result| match result {
        WriteResult::Done(response) => Ok(response),
        WriteResult::Failed { error } => Err(error.into_error(status_of(ErrorKind::Internal))),
    });
    Ok(results.collect())
}

/// `requests` in slices that one call may carry.
fn cut(requests: Vec<WriteRequest>) -> Vec<Vec<WriteRequest>> {
    let mut slices: Vec<Vec<WriteRequest>> = Vec::new();
    let mut room = 0_usize;
    for request in requests {
        let bytes = serde_json::to_vec(&request).map_or(0, |json| json.len());
        match slices.last_mut() {
            Some(slice) if slice.len() < MAX_BATCH && bytes <= room => {
                room -= bytes;
                slice.push(request);
            }
            _ => {
                room = SLICE_BYTES.saturating_sub(bytes);
                slices.push(vec![request]);
            }
        }
    }
    slices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_limited_in_number_and_in_bytes() {
        let lengths = |requests| cut(requests).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(vec![WriteRequest::new("x"); 1001]), [500, 500, 1]);
        assert_eq!(lengths(vec![WriteRequest::new("x".repeat(3 << 20)); 5]), [2, 2, 1]);
        assert_eq!(lengths(vec![WriteRequest::new("x".repeat(SLICE_BYTES)); 2]), [1, 1]);
        assert!(cut(Vec::new()).is_empty());
    }
}
