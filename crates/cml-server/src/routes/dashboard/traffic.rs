//! How much the server is asked.

use axum::{Json, extract::State};
use cml_core::Error;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{doc, in_query};
use crate::{app::App, auth::AdminCaller, error::Answer, extract::Query, limits::RateLimit, routes::Routes};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get(
            "/dashboard/ratelimits",
            rate_limits,
            doc("Keys and addresses that made requests in the last minute").answer::<RateLimits>(),
        )
        .get(
            "/dashboard/request-stats",
            request_stats,
            doc("Requests per hour since the server started").query::<HoursQuery>().answer::<RequestStats>(),
        )
}

/// Limits in use, fullest first.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct RateLimits {
    entries: Vec<RateLimit>,
    /// Requests that a key may make in a minute; 0 for no limit.
    configured_rpm: u32,
}

async fn rate_limits(State(app): State<App>, _: AdminCaller) -> Answer<RateLimits> {
    Ok(Json(RateLimits { entries: app.limits().entries(), configured_rpm: app.limits().configured_rpm() }))
}

/// Which hours to show.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
struct HoursQuery {
    /// Hours up to the present one, 1..=48.
    #[serde(default = "usual_hours")]
    hours: usize,
}

const fn usual_hours() -> usize {
    24
}

/// An hour.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct HourPoint {
    /// `YYYY-MM-DDTHH:00` in UTC.
    hour: String,
    count: u64,
}

/// Every hour in order, the present one last.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct RequestStats {
    points: Vec<HourPoint>,
    total_last_24h: u64,
}

async fn request_stats(
    State(app): State<App>,
    _: AdminCaller,
    Query(HoursQuery { hours }): Query<HoursQuery>,
) -> Answer<RequestStats> {
    if !(1..=48).contains(&hours) {
        return Err(in_query(Error::invalid("hours", "must be 1 to 48")));
    }
    let point = |(hour, count): (chrono::DateTime<chrono::Utc>, u64)| HourPoint {
        hour: hour.format("%Y-%m-%dT%H:00").to_string(),
        count,
    };
    Ok(Json(RequestStats {
        points: app.traffic().hours(hours).into_iter().map(point).collect(),
        total_last_24h: app.traffic().hours(24).into_iter().map(|(_, count)| count).sum(),
    }))
}
