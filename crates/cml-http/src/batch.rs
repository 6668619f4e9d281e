//! Writes: one alone, or many in slices.

use bytes::Bytes;
use cml_core::{
    Error, ErrorKind, Result, Scope,
    ops::{WriteRequest, WriteResponse},
    wire::{MAX_BATCH, WriteBatch, WriteBatchResponse, WriteResult, path, status_of},
};

use crate::{
    backend::Open,
    call::{Call, json},
    error,
    retry::Repeat,
};

/// Most bytes of JSON of a slice with more than one write; a server takes a multiple of it.
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
    for slice in cut(requests)? {
        let items = slice.items;
        if failed.is_none() {
            match send(open, scope, slice, repeat).await {
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
    Slice { items, body }: Slice,
    repeat: Repeat,
) -> Result<Vec<Result<WriteResponse>>> {
    let call = Call::post_json(path::WRITE_BATCH, body, repeat).of(scope);
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

/// Writes that one call carries, as its body.
struct Slice {
    items: usize,
    body: Bytes,
}

/// `requests` in slices that one call may carry.
fn cut(requests: Vec<WriteRequest>) -> Result<Vec<Slice>> {
    let mut slices = Vec::new();
    let mut requests = requests.into_iter();
    while requests.len() > 0 {
        halve(requests.by_ref().take(MAX_BATCH).collect(), &mut slices)?;
    }
    Ok(slices)
}

/// Adds `turns` to `slices`, in halves while they are too large for one.
fn halve(turns: Vec<WriteRequest>, slices: &mut Vec<Slice>) -> Result<()> {
    let mut batch = WriteBatch { turns };
    let (items, body) = (batch.turns.len(), json(&batch)?);
    if items > 1 && body.len() > SLICE_BYTES {
        let later = batch.turns.split_off(items / 2);
        halve(batch.turns, slices)?;
        return halve(later, slices);
    }
    slices.push(Slice { items, body });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_limited_in_number_and_in_bytes() -> Result<()> {
        let lengths =
            |requests| -> Result<Vec<usize>> { Ok(cut(requests)?.iter().map(|slice| slice.items).collect()) };
        assert_eq!(lengths(vec![WriteRequest::new("x"); 1001])?, [500, 500, 1]);
        assert_eq!(lengths(vec![WriteRequest::new("x".repeat(3 << 20)); 5])?, [2, 1, 2]);
        assert_eq!(lengths(vec![WriteRequest::new("x".repeat(SLICE_BYTES)); 2])?, [1, 1]);
        assert!(cut(Vec::new())?.is_empty());
        Ok(())
    }
}
