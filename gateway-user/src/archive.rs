//! Signed checkpoints of the record leave the host: each is put in a bucket, which keeps what the host could rewrite.
//!
//! Nothing waits for it. What cannot be put there is tried again, and the newest counts.

use std::{sync::Arc, time::Duration};

use aws_sdk_s3::{
    Client,
    config::{Builder, Region, retry::RetryConfig, timeout::TimeoutConfig},
    error::{ProvideErrorMetadata as _, SdkError},
    operation::put_object::PutObjectError,
    primitives::ByteStream,
};
use tokio::time::sleep;

use crate::{
    credentials::{Source, chain},
    record::{
        Checkpoints,
        log::{Bucket, Config, checkpoint::SignedCheckpoint},
    },
};

/// Longest time for one upload, with the SDK's own attempts.
const TIMEOUT: Duration = Duration::from_secs(10);
/// First pause before it is tried again; it doubles up to the last.
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_MAX: Duration = Duration::from_secs(60);

/// A bucket, and what goes there.
#[derive(Debug)]
pub struct Archive {
    client: Client,
    bucket: Bucket,
    every: Duration,
    checkpoints: Checkpoints,
}

impl Archive {
    /// `None` where there is no bucket, or the gateway has no keys of its own.
    #[must_use]
    pub fn new(config: &Config, credentials: &Source, checkpoints: Checkpoints) -> Option<Self> {
        let bucket = config.s3.clone()?;
        let region = config.s3_region.as_ref().map(|region| Region::new(region.as_str().to_owned()));
        let timeout = TimeoutConfig::builder().operation_timeout(TIMEOUT).build();
        let own = credentials.own()?;
        let mut settings = Builder::from(&own)
            .region(region)
            .timeout_config(timeout)
            .retry_config(RetryConfig::standard())
            // Endpoints that are set are of one host.
            .force_path_style(config.s3_endpoint.is_some());
        settings.set_endpoint_url(config.s3_endpoint.clone());
        let client = Client::from_conf(settings.build());
        Some(Self { client, bucket, every: Duration::from_secs(config.s3_secs), checkpoints })
    }

    /// Puts checkpoints there as they come, until the last: that one is tried once.
    pub async fn run(mut self) {
        let mut pause = AGAIN;
        let mut failed: Option<(Arc<SignedCheckpoint>, String)> = None;
        loop {
            let signed = match &failed {
                None => self.checkpoints.next().await,
                Some((failed, _)) => {
                    tokio::select! {
                        () = sleep(pause) => {}
                        () = self.checkpoints.ended() => {}
                    }
                    pause = pause.saturating_mul(2).min(AGAIN_MAX);
                    // At the end, what was tried is not tried again.
                    tokio::select! {
                        biased;
                        newer = self.checkpoints.next() => newer,
                        () = std::future::ready(()) => Some(Arc::clone(failed)),
                    }
                }
            };
            let Some(signed) = signed else { return };
            if let Err(error) = self.put(&signed).await {
                if failed.as_ref().is_none_or(|(_, before)| *before != error) {
                    tracing::error!(%error, "a checkpoint is not in its bucket; it is tried again");
                }
                self.checkpoints.taken(Some(error.clone()));
                failed = Some((signed, error));
                continue;
            }
            self.checkpoints.taken(None);
            (failed, pause) = (None, AGAIN);
            tokio::select! {
                () = sleep(self.every) => {}
                () = self.checkpoints.ended() => {}
            }
        }
    }

    async fn put(&self, signed: &SignedCheckpoint) -> Result<(), String> {
        let checkpoint = signed.checkpoint();
        // In the order of the names, in the order of time. With the root, nobody can take a name before it is known, and a
        // second history does not meet the first.
        let (origin, size, root) = (checkpoint.origin(), checkpoint.size(), checkpoint.root());
        let key = self.bucket.key(&format!("{origin}/{size:020}-{root}"));
        let put = self
            .client
            .put_object()
            .bucket(self.bucket.name())
            .key(&key)
            .if_none_match("*")
            .content_type("text/plain; charset=utf-8")
            .body(ByteStream::from(signed.note().as_bytes().to_vec()))
            .send();
        match put.await {
            Ok(_) => Ok(()),
            // The same: an attempt whose answer was lost.
            Err(error) if status(&error) == Some(412) => Ok(()),
            Err(error) => Err(format!("the bucket {}: {}", self.bucket.name(), words(&error))),
        }
    }
}

fn status(error: &SdkError<PutObjectError>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// What went wrong, with every cause.
fn words(error: &SdkError<PutObjectError>) -> String {
    if let (Some(code), Some(message)) = (error.code(), error.message()) {
        return format!("{code}: {message}");
    }
    chain(error)
}
