//! How many memories were said on each day.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use chrono::{Days, NaiveTime, Utc};
use cml_core::{
    Error,
    ops::{ListRequest, OrderBy},
};
use futures_util::TryStreamExt as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{doc, in_query, scopes, walk};
use crate::{app::App, auth::AdminCaller, error::Answer, extract::Query, routes::Routes};

pub(super) fn routes() -> Routes {
    Routes::new().get(
        "/dashboard/timeline",
        timeline,
        doc("Memories per day of the last days, by when they were said")
            .query::<TimelineQuery>()
            .answer::<Timeline>(),
    )
}

/// Which days to count.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
struct TimelineQuery {
    /// Days up to today in UTC, 1..=365.
    #[serde(default = "usual_days")]
    days: u64,
    /// Only this tenant; every tenant when absent.
    tenant_id: Option<String>,
}

const fn usual_days() -> u64 {
    30
}

/// A day.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Point {
    /// `YYYY-MM-DD` in UTC.
    date: String,
    count: u64,
}

/// Days with a memory, in order.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Timeline {
    points: Vec<Point>,
    /// Sum of the counts.
    total: u64,
}

async fn timeline(
    State(app): State<App>,
    AdminCaller(caller): AdminCaller,
    Query(query): Query<TimelineQuery>,
) -> Answer<Timeline> {
    if !(1..=365).contains(&query.days) {
        return Err(in_query(Error::invalid("days", "must be 1 to 365")));
    }
    let today = Utc::now().date_naive();
    let first = today.checked_sub_days(Days::new(query.days - 1)).unwrap_or(today);
    let start = first.and_time(NaiveTime::MIN).and_utc();
    let mut days: BTreeMap<_, u64> = BTreeMap::new();
    for scope in scopes::named_or_all(&app, &caller, query.tenant_id.as_deref()).await? {
        let newest = ListRequest::new().with_order_by(OrderBy::Timestamp).with_limit(walk::PAGE);
        let mut records = walk::records(app.backend(), scope, newest);
        while let Some(record) = records.try_next().await?.filter(|record| record.timestamp >= start) {
            let day = record.timestamp.date_naive();
            if day <= today {
                *days.entry(day).or_default() += 1;
            }
        }
    }
    let total = days.values().sum();
    let points = days.into_iter().map(|(day, count)| Point { date: day.to_string(), count }).collect();
    Ok(Json(Timeline { points, total }))
}
