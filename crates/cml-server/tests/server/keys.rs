//! Who may do what, and in which tenant.

use serde_json::json;

use crate::{ADMIN, OTHER, Outcome, Running, USER};

#[tokio::test]
async fn a_call_needs_a_known_key() -> Outcome {
    let server = Running::lite().await?;
    let reply = server.client.api("GET", "/memory/stats").send().await?;
    assert_eq!((reply.status, reply.json()?["detail"].as_str()), (401, Some("API key required")));
    assert_eq!(reply.json()?["code"], "unauthenticated");
    let reply = server.client.get("/memory/stats", "guess").await?;
    assert_eq!((reply.status, reply.json()?["detail"].as_str()), (401, Some("Invalid API key")));
    assert_eq!(reply.json()?["request_id"].as_str(), reply.header("x-request-id"));
    for open in ["/api/v1/health", "/metrics", "/metrics/", "/openapi.json"] {
        assert_eq!(server.client.root("GET", open).send().await?.status, 200, "{open}");
    }
    Ok(())
}

#[tokio::test]
async fn a_server_without_keys_refuses_everybody() -> Outcome {
    let backend = cml::connect::backend(&cml::Config::default()).await?;
    let keys = cml_server::Keys::default();
    assert!(keys.is_empty());
    let server = Running::with_keys(backend, &cml::Config::default(), keys).await?;
    assert_eq!(server.client.get("/memory/stats", "").await?.status, 401);
    assert_eq!(server.client.get("/memory/stats", "x").await?.status, 401);
    assert_eq!(server.client.api("GET", "/health").send().await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_user_key_acts_in_its_tenant_and_an_admin_key_where_it_says() -> Outcome {
    let server = Running::lite().await?;
    let whoami = async |key: &str, tenant: &str| -> Outcome<_> {
        let reply = server.client.api("GET", "/whoami").key(key).header("X-Tenant-ID", tenant).send().await?;
        let used = reply.header("x-tenant-id").map(str::to_owned);
        Ok((reply.ok()?, used))
    };
    let (body, used) = whoami(USER, "globex").await?;
    assert_eq!(body, json!({ "tenant_id": "acme", "admin": false }));
    assert_eq!(used.as_deref(), Some("acme"));
    let (body, used) = whoami(ADMIN, "globex").await?;
    assert_eq!(body, json!({ "tenant_id": "globex", "admin": true }));
    assert_eq!(used.as_deref(), Some("globex"));
    let long = "x".repeat(101);
    let reply = server.client.api("GET", "/whoami").key(ADMIN).header("X-Tenant-ID", &long).send().await?;
    assert_eq!(reply.status, 422);
    assert_eq!(reply.json()?["detail"][0]["loc"], json!(["header", "x-tenant-id"]));
    Ok(())
}

#[tokio::test]
async fn a_user_key_is_refused_on_admin_routes() -> Outcome {
    let server = Running::lite().await?;
    for (method, path) in
        [("DELETE", "/memory/all"), ("POST", "/erase"), ("GET", "/export"), ("POST", "/import")]
    {
        let reply = server.client.api(method, path).key(USER).json(&json!({})).send().await?;
        assert_eq!(
            (reply.status, reply.json()?["code"].as_str()),
            (403, Some("permission_denied")),
            "{path}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn another_tenants_ids_do_not_exist() -> Outcome {
    let server = Running::lite().await?;
    let written =
        server.client.post("/memory/write", USER, &json!({ "content": "I like figs" })).await?.ok()?;
    let id = written["memory_id"].as_str().ok_or("no id")?;
    let path = format!("/memories/{id}");
    assert_eq!(server.client.get(&path, USER).await?.ok()?["text"], "I like figs");
    let reply = server.client.get(&path, OTHER).await?;
    assert_eq!((reply.status, reply.json()?["code"].as_str()), (404, Some("not_found")));
    let update = json!({ "memory_id": id, "text": "I like dates" });
    assert_eq!(server.client.post("/memory/update", OTHER, &update).await?.status, 404);
    let forget = json!({ "memory_ids": [id] });
    assert_eq!(server.client.post("/memory/forget", OTHER, &forget).await?.ok()?["affected_count"], 0);
    let read = json!({ "query": "figs", "min_relevance": 0 });
    assert_eq!(server.client.post("/memory/read", OTHER, &read).await?.ok()?["total_count"], 0);
    assert_eq!(server.client.post("/memory/read", USER, &read).await?.ok()?["total_count"], 1);
    Ok(())
}
