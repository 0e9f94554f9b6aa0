//! Numbers for Prometheus. They name no tenant and no customer, so that they need no token.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::{Method, StatusCode};

use bestow_core::trigger::DenyReason;
use bestow_store::announcements::DELIVER;

use crate::app::App;
use crate::error::Result;
use crate::service::gateway::Said;
use crate::work::kind;

/// Classes of status: 1xx to 5xx.
const CLASSES: usize = 5;

/// What is counted while serving.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    routes: Vec<OfRoute>,
    notifications: AtomicU64,
    /// Answers of the gateway: yes, no, no in time, and those sent later.
    questions: [AtomicU64; 4],
}

#[derive(Debug)]
struct OfRoute {
    method: Method,
    path: &'static str,
    answers: [AtomicU64; CLASSES],
    took_us: AtomicU64,
}

impl Metrics {
    /// Nothing yet, for the routes in the order of the table.
    pub(crate) fn new(routes: impl Iterator<Item = (Method, &'static str)>) -> Self {
        let routes = routes.map(|(method, path)| OfRoute {
            method,
            path,
            answers: Default::default(),
            took_us: AtomicU64::new(0),
        });
        Self {
            routes: routes.collect(),
            notifications: AtomicU64::new(0),
            questions: Default::default(),
        }
    }

    /// One more answer of a route.
    pub(crate) fn count(&self, place: usize, status: StatusCode, took: Duration) {
        let Some(route) = self.routes.get(place) else {
            return;
        };
        let class = usize::from(status.as_u16() / 100)
            .saturating_sub(1)
            .min(CLASSES - 1);
        route.answers[class].fetch_add(1, Ordering::Relaxed);
        route
            .took_us
            .fetch_add(took.as_micros() as u64, Ordering::Relaxed);
    }

    /// One more notification that was stored.
    pub(crate) fn count_notification(&self) {
        self.notifications.fetch_add(1, Ordering::Relaxed);
    }

    /// One more answer of the gateway.
    pub(crate) fn count_question(&self, said: Said) {
        let place = match said {
            Said::Answer(Ok(())) => 0,
            Said::Answer(Err(DenyReason::TooLate)) | Said::AskAgain => 2,
            Said::Answer(Err(_)) => 1,
            Said::Later => 3,
        };
        self.questions[place].fetch_add(1, Ordering::Relaxed);
    }

    /// All of it, with what the store knows, in Prometheus' text format.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn write(&self, app: &App) -> Result<String> {
        let mut text = String::with_capacity(8 * 1_024);
        self.write_requests(&mut text);
        head(
            &mut text,
            "bestow_notifications_stored_total",
            "counter",
            "Notifications stored by this process, repeats included.",
        );
        line(
            &mut text,
            "bestow_notifications_stored_total",
            "",
            self.notifications.load(Ordering::Relaxed),
        );
        let name = "bestow_gateway_answers_total";
        head(
            &mut text,
            name,
            "counter",
            "Answers of the gateway by kind.",
        );
        for (kind, count) in ["allowed", "denied", "late", "later"]
            .into_iter()
            .zip(&self.questions)
        {
            let labels = format!("answer=\"{kind}\"");
            line(&mut text, name, &labels, count.load(Ordering::Relaxed));
        }
        let name = "bestow_clock_doubted";
        head(
            &mut text,
            name,
            "gauge",
            "1 while the machine's clock jumped and nobody has confirmed it.",
        );
        line(&mut text, name, "", u64::from(app.clock.is_doubted()));
        let name = "bestow_stale_writes_refused_total";
        head(
            &mut text,
            name,
            "counter",
            "Jobs of this process that somebody else had by the time of their next write.",
        );
        line(
            &mut text,
            name,
            "",
            app.stale_writes.load(Ordering::Relaxed),
        );
        write_store(&mut text, app)?;
        Ok(text)
    }

    fn write_requests(&self, text: &mut String) {
        head(
            text,
            "bestow_http_requests_total",
            "counter",
            "Answers by route and class of status.",
        );
        let mut took = String::new();
        for OfRoute {
            method,
            path,
            answers,
            took_us,
        } in &self.routes
        {
            for (class, count) in (1..).zip(answers) {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    let labels =
                        format!("method=\"{method}\",route=\"{path}\",status=\"{class}xx\"");
                    line(text, "bestow_http_requests_total", &labels, count);
                }
            }
            let micros = took_us.load(Ordering::Relaxed);
            if micros > 0 {
                let labels = format!("method=\"{method}\",route=\"{path}\"");
                line(
                    &mut took,
                    "bestow_http_request_microseconds_total",
                    &labels,
                    micros,
                );
            }
        }
        head(
            text,
            "bestow_http_request_microseconds_total",
            "counter",
            "Time spent on answers by route.",
        );
        text.push_str(&took);
    }
}

fn write_store(text: &mut String, app: &App) -> Result<()> {
    let (inbox, jobs) = app
        .store
        .peek(|tx| Ok::<_, bestow_store::Error>((tx.inbox_totals()?, tx.jobs()?)))?;
    head(
        text,
        "bestow_notifications",
        "gauge",
        "Notifications that wait or are held, by status.",
    );
    for (status, count) in inbox {
        line(
            text,
            "bestow_notifications",
            &format!("status=\"{status}\""),
            count,
        );
    }
    let now = app.clock.now_ms();
    head(
        text,
        "bestow_jobs",
        "gauge",
        "Jobs waiting or being done, by kind and state.",
    );
    for kind in [
        kind::IMPORT,
        kind::PAGES,
        kind::GRACE,
        kind::RELEASE,
        kind::SWEEP,
        kind::CATALOGUE,
        DELIVER,
    ] {
        let of_kind = || jobs.iter().filter(|job| job.kind == kind);
        let states = [
            ("running", of_kind().filter(|job| job.leased).count()),
            (
                "due",
                of_kind()
                    .filter(|job| !job.leased && job.run_at <= now)
                    .count(),
            ),
            (
                "waiting",
                of_kind()
                    .filter(|job| !job.leased && job.run_at > now)
                    .count(),
            ),
            (
                "failing",
                of_kind().filter(|job| job.last_error.is_some()).count(),
            ),
        ];
        for (state, count) in states {
            let labels = format!("kind=\"{kind}\",state=\"{state}\"");
            line(text, "bestow_jobs", &labels, count as u64);
        }
    }
    head(
        text,
        "bestow_tenants",
        "gauge",
        "Tenants, suspended ones included.",
    );
    line(
        text,
        "bestow_tenants",
        "",
        app.directory.snapshot().tenants().count() as u64,
    );
    Ok(())
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(text: &mut String, name: &str, labels: &str, value: u64) {
    let _ = match labels {
        "" => writeln!(text, "{name} {value}"),
        labels => writeln!(text, "{name}{{{labels}}} {value}"),
    };
}
