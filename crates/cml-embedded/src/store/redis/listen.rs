//! Wake-ups: one channel, a connection of its own for each listener.

use std::{pin::Pin, time::Duration};

use cml_core::BoxStream;
use futures_util::{Stream, StreamExt as _, stream};
use redis::{Client, Msg, RedisResult, aio::PubSubSink};
use tokio::time::timeout;

/// Pause before a lost connection is made again.
const PAUSE: Duration = Duration::from_secs(1);

/// How long a connection or an answer on it may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Silence after which the connection is asked whether it is still there.
const SILENCE: Duration = Duration::from_secs(30);

/// A subscription in place.
struct Subscription {
    sink: PubSubSink,
    messages: Pin<Box<dyn Stream<Item = Msg> + Send>>,
}

/// Messages of `channel`, for ever.
pub(super) fn messages(client: Client, channel: String) -> BoxStream<'static, String> {
    stream::unfold((client, channel, None), |(client, channel, mut subscription)| async move {
        loop {
            let Some(mut listening) = subscription.take() else {
                match timeout(PATIENCE, subscribe(&client, &channel)).await {
                    Ok(Ok(made)) => subscription = Some(made),
                    _ => tokio::time::sleep(PAUSE).await,
                }
                continue;
            };
            if let Some(work) = listening.next().await {
                return Some((work, (client, channel, Some(listening))));
            }
        }
    })
    .boxed()
}

async fn subscribe(client: &Client, channel: &str) -> RedisResult<Subscription> {
    let (mut sink, messages) = client.get_async_pubsub().await?.split();
    sink.subscribe(channel).await?;
    Ok(Subscription { sink, messages: Box::pin(messages) })
}

impl Subscription {
    /// The next message; none when the connection was lost.
    async fn next(&mut self) -> Option<String> {
        loop {
            match timeout(SILENCE, self.messages.next()).await {
                Ok(Some(message)) => {
                    if let Ok(work) = message.get_payload() {
                        return Some(work);
                    }
                }
                Ok(None) => return None,
                Err(_silence) => {
                    let answer = timeout(PATIENCE, self.sink.ping::<redis::Value>()).await;
                    if !matches!(answer, Ok(Ok(_))) {
                        return None;
                    }
                }
            }
        }
    }
}
