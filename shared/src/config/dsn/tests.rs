use super::*;

fn tcp(name: &str, port: Option<u16>) -> DsnHost {
    DsnHost {
        target: Some(DsnTarget::Tcp(name.to_owned())),
        port,
    }
}

fn hosts(text: &str) -> Vec<DsnHost> {
    Dsn::parse(text).unwrap().hosts
}

fn fault(text: &str) -> String {
    Dsn::parse(text).unwrap_err().to_string()
}

#[test]
fn a_plain_url_names_login_server_and_database() {
    let dsn = Dsn::parse("postgresql://app:p%40ss%2F@db:5433/path%20bound").unwrap();
    assert_eq!(dsn.hosts, [tcp("db", Some(5433))]);
    assert_eq!(dsn.user.as_deref(), Some("app"));
    assert_eq!(dsn.password.unwrap().expose(), "p@ss/");
    assert_eq!(dsn.database.as_deref(), Some("path bound"));
    assert_eq!(dsn.tls, TlsMode::Prefer);
}

#[test]
fn hosts_are_a_list_of_names_addresses_and_sockets() {
    assert_eq!(
        hosts("postgres://a:1,b,[::1]:3/x?target_session_attrs=read-write"),
        [tcp("a", Some(1)), tcp("b", None), tcp("::1", Some(3))]
    );
    assert_eq!(
        hosts("postgres://u@/x?host=a,b&port=7"),
        [tcp("a", Some(7)), tcp("b", Some(7))]
    );
    assert_eq!(
        hosts("postgres:///x?port=7,8&host=a,::1").len(),
        2,
        "parameters come in any order"
    );
    let socket = DsnHost {
        target: Some(DsnTarget::Socket("/run/postgresql".into())),
        port: None,
    };
    for url in [
        "postgres://u@/x?host=/run/postgresql",
        "postgres:///x?host=%2Frun%2Fpostgresql",
        "postgres://%2Frun%2Fpostgresql/x",
    ] {
        assert_eq!(hosts(url), std::slice::from_ref(&socket), "{url}");
    }
    assert_eq!(
        hosts("postgres:///x"),
        [DsnHost {
            target: None,
            port: None
        }]
    );
}

#[test]
fn tls_follows_libpq() {
    let tls = |query: &str| Dsn::parse(&format!("postgres://h/x?{query}")).map(|dsn| dsn.tls);
    assert_eq!(tls("sslmode=verify-full").unwrap(), TlsMode::VerifyFull);
    assert_eq!(tls("sslrootcert=system").unwrap(), TlsMode::VerifyFull);
    assert_eq!(
        tls("sslrootcert=/dev/null&sslmode=require").unwrap(),
        TlsMode::VerifyCa
    );
    for bad in [
        "sslrootcert=system&sslmode=require",
        "sslcert=/dev/null",
        "sslmode=always",
        "sslrootcert=/nowhere/ca.pem",
    ] {
        tls(bad).unwrap_err();
    }
}

#[test]
fn a_fault_shows_nothing_of_the_dsn() {
    let told = [
        "mysql://u:hunter2@h/x",
        "postgres://u:hun/ter2@h/x",
        "postgres://u:hun?ter2@h/x",
        "postgres://u:hunter2@h:ter2/x",
        "postgres://u:hunter2@[::1/x",
        "postgres://u:hunter2%ff@h/x",
        "postgres://h/x?service=hunter2",
        "postgres://h/x?sslmode=hunter2",
        "postgres://h/x?target_session_attrs=hunter2",
        "postgres://h/x?sslkey=/hunter2&sslcert=/hunter2",
        "postgres://a,b/x?port=1,2,3",
    ]
    .map(|url| fault(url) + "\n")
    .concat();
    assert!(!told.contains("ter2"), "{told}");
    insta::assert_snapshot!(told, @r"
    is not a postgres:// URL
    has a port that is not a number from 1 to 65535 (an IPv6 address needs brackets, and a password must be percent-encoded)
    has a port that is not a number from 1 to 65535 (an IPv6 address needs brackets, and a password must be percent-encoded)
    has a port that is not a number from 1 to 65535 (an IPv6 address needs brackets, and a password must be percent-encoded)
    has an IPv6 address without its bracket
    has a percent-encoded part that is not UTF-8
    has the parameter service, which is not supported
    has an unknown sslmode: use disable, allow, prefer, require, verify-ca or verify-full
    has a value of target_session_attrs that is not supported
    has a file in sslkey that cannot be read: entity not found
    has neither one port for all hosts nor one for each
    ");
}
