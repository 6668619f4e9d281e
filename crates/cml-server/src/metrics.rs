//! Counters and histograms, as Prometheus text.

use std::{fmt, time::Duration};

use metrics::{Key, Label, Level, Metadata, Recorder as _, Unit};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));
const REQUESTS: &str = "cml_http_requests_total";
const SECONDS: &str = "cml_http_request_duration_seconds";
const WRITTEN: &str = "cml_memories_written_total";
const READ: &str = "cml_memories_read_total";
const BUCKETS: [f64; 13] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The recorder of one server; nothing is installed for the whole process.
pub(crate) struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let builder = PrometheusBuilder::new();
        let builder = builder.set_buckets(&BUCKETS).unwrap_or_else(|_empty| PrometheusBuilder::new());
        let recorder = builder.build_recorder();
        for (name, text) in [
            (REQUESTS, "Requests answered, by method, route and status"),
            (WRITTEN, "Memories stored or strengthened by writes"),
            (READ, "Memories returned by reads"),
        ] {
            recorder.describe_counter(name.into(), Some(Unit::Count), text.into());
        }
        recorder.describe_histogram(
            SECONDS.into(),
            Some(Unit::Seconds),
            "Time until the answer began, by method, route and status".into(),
        );
        Self { handle: recorder.handle(), recorder }
    }

    /// Counts an answer.
    pub(crate) fn answered(&self, method: &str, route: &str, status: u16, took: Duration) {
        let labels = vec![
            Label::new("method", method.to_owned()),
            Label::new("path", route.to_owned()),
            Label::new("status", status.to_string()),
        ];
        let counter = Key::from_parts(REQUESTS, labels.clone());
        self.recorder.register_counter(&counter, &METADATA).increment(1);
        let histogram = Key::from_parts(SECONDS, labels);
        self.recorder.register_histogram(&histogram, &METADATA).record(took.as_secs_f64());
    }

    /// Counts memories that were stored.
    pub(crate) fn written(&self, memories: usize) {
        self.recorder.register_counter(&Key::from_static_name(WRITTEN), &METADATA).increment(memories as u64);
    }

    /// Counts memories that were returned.
    pub(crate) fn read(&self, memories: usize) {
        self.recorder.register_counter(&Key::from_static_name(READ), &METADATA).increment(memories as u64);
    }

    /// The text that Prometheus reads.
    pub(crate) fn text(&self) -> String {
        self.handle.render()
    }

    /// Moves samples into their buckets; called now and then, so that they do not pile up.
    pub(crate) fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
