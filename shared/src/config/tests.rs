use super::*;

fn environment(pairs: &[(&str, &str)]) -> Environment {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn production() -> Vec<(&'static str, &'static str)> {
    vec![
        ("PATHBOUND_DATABASE_URL", "postgres://u:p@db/pathbound"),
        ("PATHBOUND_REDIS_URL", "redis://redis:6379"),
        ("PATHBOUND_PUBLIC_URL", "https://app.example.com/"),
        (
            "PATHBOUND_SERVICE_KEY",
            "0123456789012345678901234567890123456789",
        ),
        (
            "PATHBOUND_ENCRYPTION_KEYS",
            "k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
        ),
        ("PATHBOUND_INTERCOM_CLIENT_ID", "id"),
        ("PATHBOUND_INTERCOM_CLIENT_SECRET", "secret"),
    ]
}

#[test]
fn the_environment_overrides_the_defaults() {
    let mut pairs = production();
    pairs.push(("PATHBOUND_SYNC_INTERVAL", "1s"));
    let config = Config::load(None, &environment(&pairs), ProcessRole::All).unwrap();
    assert_eq!(config.intervals.sync, Duration::from_secs(1));
    assert_eq!(config.intervals.company_walk, Duration::from_secs(86_400));
    assert_eq!(
        config.redirect_uri(),
        "https://app.example.com/oauth/intercom/callback"
    );
    assert_eq!(config.intercom.version, "2.16");
}

#[test]
fn nothing_is_kept_for_less_than_it_is_needed_nor_for_ever() {
    let fault = |name: &'static str, value: &'static str| {
        let mut pairs = production();
        pairs.push((name, value));
        let loaded = Config::load(None, &environment(&pairs), ProcessRole::Scheduler);
        loaded.err().map(|error| error.faults.join(" "))
    };
    for (name, shortest, shorter) in [
        ("PATHBOUND_RUN_RETENTION", "1h", "59m"),
        ("PATHBOUND_DEAD_LETTER_RETENTION", "1h", "59m"),
        ("PATHBOUND_QUARANTINE_RETENTION", "1h", "59m"),
        ("PATHBOUND_API_KEY_RETENTION", "1h", "59m"),
        ("PATHBOUND_OAUTH_FLOW_RETENTION", "1h", "59m"),
        ("PATHBOUND_IDEMPOTENCY_RETENTION", "24h", "23h"),
        ("PATHBOUND_OPERATOR_EVENT_RETENTION", "1h", "59m"),
        ("PATHBOUND_BROWSER_SESSION_RETENTION", "1h", "59m"),
    ] {
        assert_eq!(fault(name, shortest), None);
        assert_eq!(fault(name, "36500d"), None);
        for value in [shorter, "36501d"] {
            assert!(fault(name, value).is_some_and(|fault| fault.contains(name)));
        }
    }
    assert_eq!(fault("PATHBOUND_RETENTION_INTERVAL", "1s"), None);
}

#[test]
fn every_fault_is_named_at_once_and_no_secret_is_shown() {
    let error = Config::load(
        None,
        &environment(&[
            ("PATHBOUND_DATABASE_URL", "mysql://root:hunter2@db/x"),
            ("PATHBOUND_SERVICE_KEY", "hunter2"),
            ("PATHBOUND_MAX_SHARE", "1.5"),
            ("PATHBOUND_SYNC_INTERVAL", "soon"),
            ("PATHBOUND_INTERCOM_API_URL", "https://evil.example.com"),
        ]),
        ProcessRole::All,
    )
    .unwrap_err();
    let text = error.to_string();
    for part in [
        "PATHBOUND_DATABASE_URL is not a postgres:// URL",
        "PATHBOUND_REDIS_URL is not set",
        "PATHBOUND_PUBLIC_URL is not set",
        "PATHBOUND_SERVICE_KEY is shorter than 32 characters",
        "PATHBOUND_ENCRYPTION_KEYS cannot be used",
        "PATHBOUND_INTERCOM_CLIENT_ID is not set",
        "PATHBOUND_MAX_SHARE is \"1.5\"",
        "PATHBOUND_SYNC_INTERVAL is \"soon\"",
        "PATHBOUND_INTERCOM_API_URL is for the development profile only",
    ] {
        assert!(text.contains(part), "{part:?} is missing from {text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn a_worker_needs_no_key_of_the_api() {
    let pairs: Vec<_> = production()
        .into_iter()
        .filter(|(name, _)| {
            name.contains("DATABASE") || name.contains("REDIS") || name.contains("ENCRYPTION")
        })
        .collect();
    Config::load(None, &environment(&pairs), ProcessRole::Worker).unwrap();
    assert!(Config::load(None, &environment(&pairs), ProcessRole::Api).is_err());
}

#[test]
fn development_takes_loopback_http_and_production_does_not() {
    let mut pairs = production();
    pairs.retain(|(name, _)| *name != "PATHBOUND_PUBLIC_URL");
    pairs.push(("PATHBOUND_PUBLIC_URL", "http://127.0.0.1:8080"));
    assert!(Config::load(None, &environment(&pairs), ProcessRole::All).is_err());
    pairs.push(("PATHBOUND_PROFILE", "development"));
    Config::load(None, &environment(&pairs), ProcessRole::All).unwrap();
    pairs.push(("PATHBOUND_RETURN_URL", "//evil.example.com"));
    assert!(Config::load(None, &environment(&pairs), ProcessRole::All).is_err());
}

#[test]
fn a_secret_may_come_from_a_file_and_an_unknown_option_is_a_fault() {
    let folder = std::env::temp_dir().join(format!("pathbound-config-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (secret, file) = (folder.join("key"), folder.join("pathbound.toml"));
    std::fs::write(&secret, "9876543210987654321098765432109876543210\n").unwrap();
    std::fs::write(&file, "worker_slots = 7\nworker_slotz = 8\n").unwrap();

    let mut pairs = production();
    pairs.retain(|(name, _)| *name != "PATHBOUND_SERVICE_KEY");
    let path = secret.to_str().unwrap();
    pairs.push(("PATHBOUND_SERVICE_KEY_FILE", path));
    let config = Config::load(None, &environment(&pairs), ProcessRole::All).unwrap();
    assert_eq!(
        config.service_key.expose(),
        "9876543210987654321098765432109876543210"
    );

    let error = Config::load(Some(&file), &environment(&pairs), ProcessRole::All).unwrap_err();
    assert_eq!(error.faults.len(), 1, "{error}");
    assert!(error.faults[0].contains("worker_slotz"), "{error}");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn an_unknown_variable_is_a_warning_that_names_the_nearest_option() {
    let mut pairs = production();
    pairs.extend([
        ("PATHBOUND_WORKR_SLOTS", "hunter2"),
        ("PATHBOUND_SERVICE_KEI_FILE", "/nowhere"),
        ("PATHBOUND_COFFEE", "yes"),
        ("PATHBOUND_CONFIG", "pathbound.toml"),
        ("PATHBOUND_REDIS_BIN", "/usr/bin"),
    ]);
    let config = Config::load(None, &environment(&pairs), ProcessRole::All).unwrap();
    assert_eq!(
        config.warnings,
        [
            "PATHBOUND_COFFEE is not an option and has no effect: see `pathbound config show`",
            "PATHBOUND_SERVICE_KEI_FILE is not an option and has no effect: did you mean PATHBOUND_SERVICE_KEY_FILE?",
            "PATHBOUND_WORKR_SLOTS is not an option and has no effect: did you mean PATHBOUND_WORKER_SLOTS?",
        ]
    );
}

#[test]
fn an_old_name_still_works_and_the_new_name_wins() {
    let mut pairs = production();
    pairs.push(("PATHBOUND_ANSWER_MEMORY", "128"));
    pairs.push(("PATHBOUND_INDEX_LAG", "90s"));
    let config = Config::load(None, &environment(&pairs), ProcessRole::All).unwrap();
    assert_eq!(config.response_memory, 128 << 20);
    assert_eq!(config.intervals.search_index_lag, Duration::from_secs(90));
    assert_eq!(
        config.warnings[0],
        "PATHBOUND_ANSWER_MEMORY is the old name of PATHBOUND_RESPONSE_MEMORY: rename it"
    );

    pairs.push(("PATHBOUND_RESPONSE_MEMORY", "256"));
    let config = Config::load(None, &environment(&pairs), ProcessRole::All).unwrap();
    assert_eq!(config.response_memory, 256 << 20);
    assert!(config.warnings[0].contains("has no effect, because"));
}

#[test]
fn the_cluster_option_is_a_bool_and_takes_the_text_too() {
    let folder = std::env::temp_dir().join(format!("pathbound-cluster-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("pathbound.toml");
    for text in ["redis_cluster = true", "redis_cluster = \"true\""] {
        std::fs::write(&file, text).unwrap();
        let environment = environment(&production());
        let config = Config::load(Some(&file), &environment, ProcessRole::All).unwrap();
        assert!(config.redis_cluster, "{text}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_line_end_is_no_part_of_a_secret_wherever_it_comes_from() {
    let mut pairs = production();
    pairs.retain(|(name, _)| *name != "PATHBOUND_SERVICE_KEY" && *name != "PATHBOUND_REDIS_URL");
    pairs.push((
        "PATHBOUND_SERVICE_KEY",
        "0123456789012345678901234567890123456789\r\n",
    ));
    pairs.push(("PATHBOUND_REDIS_URL", "redis://:pw@r\n"));
    let config = Config::load(None, &environment(&pairs), ProcessRole::All).unwrap();
    assert_eq!(config.service_key.expose().len(), 40);
    assert_eq!(config.redis_url.expose(), "redis://:pw@r");
}

#[cfg(unix)]
#[test]
fn only_a_variable_of_ours_has_to_be_utf_8() {
    use std::{ffi::OsString, os::unix::ffi::OsStringExt};
    let bytes = || OsString::from_vec(vec![0xff, 0xfe]);
    let read = |name: OsString| {
        let own = production()
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        let environment = Environment::of(own.chain([(name, bytes())]));
        Config::load(None, &environment, ProcessRole::All)
    };
    read("SOMEBODY_ELSES".into()).unwrap();
    read(bytes()).unwrap();
    let error = read("PATHBOUND_OPERATOR_KEY".into()).unwrap_err();
    assert!(error.faults[0].contains("is not UTF-8"), "{error}");
}

#[test]
fn the_viewer_key_is_a_key_of_its_own() {
    let operator = "an-operator-key-of-thirty-two-characters";
    let load = |viewer: &'static str| {
        let mut pairs = production();
        pairs.retain(|(name, _)| *name != "PATHBOUND_OPERATOR_KEY");
        pairs.push(("PATHBOUND_OPERATOR_KEY", operator));
        pairs.push(("PATHBOUND_VIEWER_KEY", viewer));
        Config::load(None, &environment(&pairs), ProcessRole::All)
    };
    let good = load("a-viewer-key-of-thirty-two-characters-or-so").unwrap();
    let shown = good.viewer_key.as_ref().map(|key| key.expose().len());
    assert_eq!((shown, good.has_operators()), (Some(43), true));
    assert!(load("").unwrap().viewer_key.is_none());
    for (viewer, what) in [
        (operator, "is the same as operator_key"),
        ("short", "32 characters"),
    ] {
        let error = load(viewer).unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
        assert!(!error.to_string().contains(operator), "{error}");
    }
}

#[test]
fn a_redis_that_cannot_be_used_is_a_fault() {
    for (name, value, what) in [
        ("REDIS_URL", "http://:hunter2@r", "begins with none of"),
        ("REDIS_URL", "redis://r?x=hunter2", "takes none"),
        ("REDIS_CA_FILE", "/nowhere", "could not be read"),
        ("REDIS_URL_CA_FILE", "/nowhere", "could not be read"),
        ("REDIS_CA_FILE", "Cargo.toml", "has no CERTIFICATE in PEM"),
        (
            "REDIS_CA_FILE",
            "Cargo.toml",
            "has no TLS: begin it with rediss://",
        ),
        ("PROXY", "socks5://hunter2@p:1", "is no proxy"),
        ("CA_FILE", "/nowhere", "could not be read"),
    ] {
        let variable = format!("PATHBOUND_{name}");
        let mut pairs = production();
        pairs.retain(|(name, _)| *name != variable);
        pairs.push((&variable, value));
        let error = Config::load(None, &environment(&pairs), ProcessRole::All).unwrap_err();
        assert!(
            error.to_string().contains(what),
            "{variable}={value}: {error}"
        );
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    let mut pairs = production();
    pairs.retain(|(name, _)| *name != "PATHBOUND_REDIS_URL");
    pairs.push(("PATHBOUND_REDIS_CLUSTER", "true"));
    pairs.push(("PATHBOUND_REDIS_URL", "unix:///run/redis.sock"));
    let error = Config::load(None, &environment(&pairs), ProcessRole::All).unwrap_err();
    assert!(error.faults[0].contains("must name one node"), "{error}");
}

#[test]
fn the_proxy_of_the_environment_is_for_roles_that_call_intercom() {
    let mut pairs = production();
    pairs.push(("HTTPS_PROXY", "proxy:3128"));
    pairs.push(("no_proxy", ".example.com"));
    let load = |pairs: &[(&str, &str)], role| {
        Config::load(None, &environment(pairs), role)
            .unwrap()
            .intercom
            .egress
    };
    let egress = load(&pairs, ProcessRole::Worker);
    assert_eq!(egress.proxy.unwrap().expose(), "http://proxy:3128");
    assert_eq!(egress.no_proxy, ".example.com");
    assert!(load(&pairs, ProcessRole::Scheduler).proxy.is_none());
    pairs.push(("PATHBOUND_PROXY", "https://own:1"));
    let egress = load(&pairs, ProcessRole::Worker);
    assert_eq!(egress.proxy.unwrap().expose(), "https://own:1");
    assert_eq!(egress.no_proxy, "");
}

#[test]
fn only_an_origin_of_a_web_page_is_one() {
    let faults = |value: &'static str| {
        let mut pairs = production();
        pairs.push(("PATHBOUND_CORS_ORIGINS", value));
        let loaded = Config::load(None, &environment(&pairs), ProcessRole::Api);
        loaded
            .map(|config| config.rest.cors_origins)
            .map_err(|error| error.faults.len())
    };
    assert_eq!(faults(""), Ok(Vec::new()));
    assert_eq!(
        faults("https://a.example.com, https://b.example.com:8443"),
        Ok(vec![
            "https://a.example.com".to_owned(),
            "https://b.example.com:8443".to_owned()
        ])
    );
    for (value, count) in [
        ("*", 1),
        ("https://a.example.com/", 1),
        ("http://a.example.com", 1),
        ("a.example.com,https://b.example.com/x", 2),
    ] {
        assert_eq!(faults(value), Err(count), "{value}");
    }
}

#[test]
fn agents_sign_in_only_at_a_server_that_tokens_name() {
    let load = |pairs: &[(&'static str, &'static str)]| {
        let mut all = production();
        all.extend(pairs);
        let loaded = Config::load(None, &environment(&all), ProcessRole::Api);
        loaded.map_err(|error| error.faults.join("\n"))
    };
    assert!(load(&[]).unwrap().mcp.sign_in.is_none());
    let issuer = ("PATHBOUND_MCP_ISSUER", "https://login.example.com/");
    let keys = ("PATHBOUND_MCP_JWKS_URL", "https://login.example.com/jwks");
    let config = load(&[issuer, keys]).unwrap();
    let sign_in = config.mcp.sign_in.unwrap();
    // Tokens name it with the slash.
    assert_eq!(sign_in.issuer, "https://login.example.com/");
    assert_eq!(sign_in.tenant_claim, "pathbound_tenant");
    assert_eq!(
        sign_in.jwks_url.as_deref(),
        Some("https://login.example.com/jwks")
    );
    // Its metadata says where its keys are.
    let found = load(&[issuer]).unwrap().mcp.sign_in.unwrap();
    assert_eq!(found.jwks_url, None);
    for (pairs, named) in [
        (&[keys][..], "PATHBOUND_MCP_ISSUER is not set"),
        (
            &[
                issuer,
                ("PATHBOUND_MCP_JWKS_URL", "http://login.example.com/jwks"),
            ],
            "PATHBOUND_MCP_JWKS_URL is",
        ),
        (
            &[keys, ("PATHBOUND_MCP_ISSUER", "http://127.0.0.1:1")],
            "PATHBOUND_MCP_ISSUER is",
        ),
        (
            &[issuer, keys, ("PATHBOUND_MCP_TENANT_CLAIM", "")],
            "PATHBOUND_MCP_TENANT_CLAIM is not set",
        ),
        (
            &[issuer, keys, ("PATHBOUND_MCP_JWKS_INTERVAL", "50ms")],
            "PATHBOUND_MCP_JWKS_INTERVAL is",
        ),
    ] {
        let faults = load(pairs).unwrap_err();
        assert!(faults.contains(named), "{named:?} is missing from {faults}");
    }
}

#[test]
fn a_collector_of_traces_is_a_bare_url() {
    let load = |endpoint: &'static str| {
        let mut all = production();
        all.push(("PATHBOUND_OTLP_ENDPOINT", endpoint));
        let loaded = Config::load(None, &environment(&all), ProcessRole::Worker);
        loaded.map(|config| config.traces.endpoint)
    };
    assert_eq!(load("").unwrap(), None);
    let plain = load("http://otel-collector:4318/").unwrap();
    assert_eq!(plain.as_deref(), Some("http://otel-collector:4318"));
    for wrong in [
        "otel-collector:4318",
        "grpc://otel-collector:4317",
        "https://user:hunter2@collector.example",
        "https://collector.example?key=hunter2",
    ] {
        let faults = load(wrong).unwrap_err().faults.join("\n");
        assert!(faults.contains("PATHBOUND_OTLP_ENDPOINT is"), "{faults}");
        assert!(!faults.contains("hunter2"), "{faults}");
    }
}

#[test]
fn hosts_are_names_alone() {
    let load = |hosts: &'static str| {
        let mut all = production();
        all.push(("PATHBOUND_MCP_HOSTS", hosts));
        let loaded = Config::load(None, &environment(&all), ProcessRole::Api);
        loaded.map(|config| config.mcp.hosts)
    };
    assert_eq!(load("").unwrap(), [""; 0]);
    assert_eq!(
        load("api.prod.svc.cluster.local, MCP.example.com,").unwrap(),
        ["api.prod.svc.cluster.local", "mcp.example.com"]
    );
    for wrong in [
        "https://mcp.example.com",
        "mcp.example.com:8080",
        "*.example.com",
        "10.0.0.1",
        "a b",
        "mcp.example.com/x",
        "good.example.com,user@evil.example",
    ] {
        let faults = load(wrong).unwrap_err().faults.join("\n");
        assert!(
            faults.contains("PATHBOUND_MCP_HOSTS has"),
            "{wrong}: {faults}"
        );
    }
}
