//! The final state does not depend on the order in which pages were written, nor on how often.

use std::collections::BTreeMap;

use intercom_simulator::{Change, Kind, Mutation, Workspace, WorkspaceSpec};
use shared::{
    domain::{
        Class, Region, Secret,
        records::{Company, Contact, Conversation, ReferenceItem, Thread},
    },
    intercom::{
        Endpoint, Intercom, Order, PAGE, Search,
        wire::{self, Next, Page, ReferenceKind},
    },
    store::{FetchedThread, WorkerStore},
};
use simulation::rng::{Rng, seeds};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::servers;
use crate::world::{Connected, World};

/// What one transaction writes.
#[derive(Clone, Debug)]
enum Delivery {
    Contacts(Vec<Contact>),
    Companies(Vec<Company>),
    Stubs(Vec<Conversation>),
    Threads(Vec<Thread>),
    Reference(ReferenceKind, Vec<ReferenceItem>),
}

fn spec() -> WorkspaceSpec {
    WorkspaceSpec {
        contacts: 40,
        companies: 14,
        conversations: 30,
        parts: 4.0,
        leads: 0.4,
        merged_contacts: 3,
        contacts_over_10_companies: 0.1,
        limit_per_window: 100_000,
        ..WorkspaceSpec::default()
    }
}

/// Everything that the workspace shows now, read and parsed as the fleet does.
async fn everything(world: &World, workspace: &Workspace) -> Vec<Delivery> {
    let intercom = Intercom::new(&world.config).unwrap();
    let reader = intercom.workspace(
        &workspace.id_code(),
        Region::Us,
        "2.16",
        Secret::new(workspace.token()),
        Class::Fresh,
    );
    let read = async |read: Endpoint<'_>| reader.read(&read).await.unwrap().body;
    let body = read(Endpoint::Contacts {
        after: None,
        per_page: PAGE,
        merge_history: true,
    })
    .await;
    let mut contacts: Vec<Contact> = Page::split(&body)
        .unwrap()
        .items
        .iter()
        .filter_map(|raw| wire::read_contact(raw).ok())
        .collect();
    for contact in contacts
        .iter_mut()
        .filter(|contact| contact.companies.is_none())
    {
        let body = read(Endpoint::ContactCompanies {
            id: &contact.source_id,
            page: 1,
        })
        .await;
        let list = Page::split(&body).unwrap();
        assert!(!matches!(list.next, Some(Next::Number(_))));
        contact.companies = Some(wire::company_ids(&list.items).unwrap());
    }
    let body = read(Endpoint::CompaniesScroll { param: None }).await;
    let companies = Page::split(&body)
        .unwrap()
        .items
        .iter()
        .filter_map(|raw| wire::read_company(raw).ok())
        .collect();
    workspace.release_scroll();
    let search = Search {
        after: chrono::DateTime::UNIX_EPOCH,
        before: None,
        order: Order::Descending,
        starting_after: None,
        per_page: PAGE,
    };
    let body = read(Endpoint::ConversationsSearch { search: &search }).await;
    let stubs: Vec<Conversation> = Page::split(&body)
        .unwrap()
        .items
        .iter()
        .filter_map(|raw| wire::read_conversation(raw).ok())
        .collect();
    let mut threads = Vec::new();
    for stub in &stubs {
        let body = read(Endpoint::Conversation {
            id: &stub.source_id,
        })
        .await;
        let Ok((Ok(thread), _)) = wire::read_thread(&body) else {
            panic!("a thread reads well")
        };
        threads.push(thread);
    }
    let body = read(Endpoint::Tags).await;
    let tags = Page::split(&body)
        .unwrap()
        .items
        .iter()
        .filter_map(|raw| wire::read_reference(ReferenceKind::Tag, raw).ok())
        .collect();
    vec![
        Delivery::Reference(ReferenceKind::Tag, tags),
        Delivery::Contacts(contacts),
        Delivery::Companies(companies),
        Delivery::Stubs(stubs),
        Delivery::Threads(threads),
    ]
}

/// The same records in pages of other sizes, in another order, some of them twice.
fn shuffled(all: &[Delivery], seed: u64) -> Vec<Delivery> {
    fn cut<T: Clone>(
        records: &[T],
        rng: &mut Rng,
        make: fn(Vec<T>) -> Delivery,
        into: &mut Vec<Delivery>,
    ) {
        let mut records = records.to_vec();
        shuffle(&mut records, rng);
        while !records.is_empty() {
            let most = records.len().min(rng.between(1, 12) as usize);
            let page: Vec<T> = records.drain(..most).collect();
            if rng.chance(30) {
                into.push(make(page.clone()));
            }
            into.push(make(page));
        }
    }
    let (mut rng, mut pages) = (Rng::new(seed), Vec::new());
    for delivery in all {
        match delivery {
            Delivery::Contacts(records) => cut(records, &mut rng, Delivery::Contacts, &mut pages),
            Delivery::Companies(records) => cut(records, &mut rng, Delivery::Companies, &mut pages),
            Delivery::Stubs(records) => cut(records, &mut rng, Delivery::Stubs, &mut pages),
            Delivery::Threads(records) => cut(records, &mut rng, Delivery::Threads, &mut pages),
            // A list that is whole: what it does not name is removed.
            Delivery::Reference(..) => pages.push(delivery.clone()),
        }
    }
    shuffle(&mut pages, &mut rng);
    pages
}

fn shuffle<T>(items: &mut [T], rng: &mut Rng) {
    for n in (1..items.len()).rev() {
        items.swap(n, rng.between(0, n as i64 + 1) as usize);
    }
}

async fn write(store: &WorkerStore, connected: &Connected, deliveries: &[Delivery]) {
    let connection = connected.connection;
    for delivery in deliveries.iter().cloned() {
        let mut tx = store.begin(connected.tenant).await.unwrap();
        match delivery {
            Delivery::Contacts(contacts) => {
                drop(tx.write_contacts(connection, contacts).await.unwrap());
            }
            Delivery::Companies(companies) => {
                drop(tx.write_companies(connection, companies).await.unwrap());
            }
            Delivery::Stubs(stubs) => drop(tx.write_stubs(connection, stubs).await.unwrap()),
            Delivery::Threads(threads) => {
                let fetched = threads.into_iter().map(|thread| FetchedThread {
                    thread,
                    too_fresh: false,
                    poisoned: 0,
                });
                drop(
                    tx.write_threads(connection, fetched.collect())
                        .await
                        .unwrap(),
                );
            }
            Delivery::Reference(kind, items) => tx
                .write_reference(connection, kind.as_str(), &items)
                .await
                .unwrap(),
        }
        tx.commit().await.unwrap();
    }
}

/// Our own clocks: when something was written, and how often it was tried, not what it says.
const CLOCKS: &[(&str, &[&str])] = &[
    ("contacts", &["updated_at"]),
    ("companies", &["updated_at"]),
    ("threads", &["due_at", "attempts"]),
];
/// What is owed and how far we are is not what is held; a connection differs in nothing that a page writes.
const OTHERS: &[&str] = &[
    "streams",
    "sync_runs",
    "connections",
    "connection_secrets",
    "oauth_flows",
    "api_keys",
    "tenants",
];

/// Every row of the tenant, without our clocks.
async fn tables(admin: &mut PgConnection, connected: &Connected) -> BTreeMap<String, Vec<String>> {
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')",
    )
    .fetch_all(&mut *admin)
    .await
    .unwrap();
    let mut tables = BTreeMap::new();
    for name in names
        .into_iter()
        .filter(|name| !OTHERS.contains(&name.as_str()))
    {
        let clocks = CLOCKS
            .iter()
            .find(|(table, _)| *table == name)
            .map_or(&[][..], |(_, clocks)| clocks);
        let query = format!(
            "SELECT (to_jsonb(t) - $2::text[])::text FROM {name} t WHERE tenant_id = $1 ORDER BY 1"
        );
        let rows = sqlx::query_scalar(AssertSqlSafe(query))
            .bind(connected.tenant.0)
            .bind(clocks)
            .fetch_all(&mut *admin);
        tables.insert(name, rows.await.unwrap());
    }
    assert!(
        tables.len() > 12
            && ["contacts", "contact_companies", "parts", "threads"]
                .iter()
                .all(|name| !tables[*name].is_empty())
    );
    tables
}

async fn empty(admin: &mut PgConnection, connected: &Connected) {
    for table in [
        "conversations",
        "contact_sources",
        "contacts",
        "company_sources",
        "companies",
        "contact_companies",
        "reference_items",
    ] {
        let query = format!("DELETE FROM {table} WHERE tenant_id = $1");
        sqlx::query(AssertSqlSafe(query))
            .bind(connected.tenant.0)
            .execute(&mut *admin)
            .await
            .unwrap();
    }
}

fn assert_same(
    seed: u64,
    held: &BTreeMap<String, Vec<String>>,
    should: &BTreeMap<String, Vec<String>>,
) {
    for (table, rows) in should {
        let without = |these: &[String], those: &[String]| {
            these
                .iter()
                .filter(|row| !those.contains(row))
                .take(3)
                .cloned()
                .collect::<Vec<_>>()
        };
        let (held, extra, missing) = (
            &held[table],
            without(&held[table], rows),
            without(rows, &held[table]),
        );
        assert!(
            held == rows,
            "PROPERTY_SEEDS={seed}..{}: {table} has {} rows, should have {}; has {extra:#?}, should have {missing:#?}",
            seed + 1,
            held.len(),
            rows.len()
        );
    }
}

#[test]
fn no_order_of_pages_changes_what_is_held() {
    crate::complete::play(async {
        let world = servers().await.beside(&[]).await;
        let workspace = world.simulator.add_workspace(spec());
        let tenant = world.store.create_tenant("Acme").await.unwrap().id;
        let connected = world.connect_as(tenant, &workspace).await;
        // Cut at five hundred parts, and exactly as long.
        for (n, parts) in [(0, 500), (1, 620)] {
            let id = workspace
                .truth()
                .into_iter()
                .filter(|line| line.kind == Kind::Conversation)
                .nth(n)
                .unwrap()
                .id;
            workspace.mutate(
                Mutation::grow(Kind::Conversation, 1)
                    .ids([id])
                    .parts(parts)
                    .ago(9_000),
            );
        }
        let early = everything(&world, &workspace).await;
        for (change, kind) in [
            (Change::Update, Kind::Contact),
            (Change::Grow, Kind::Contact),
            (Change::Update, Kind::Company),
            (Change::Update, Kind::Conversation),
            (Change::Grow, Kind::Conversation),
            (Change::Redact, Kind::Conversation),
            (Change::Add, Kind::Conversation),
            (Change::Add, Kind::Contact),
        ] {
            workspace.mutate(Mutation::new(change, kind, 6).ago(3_600));
        }
        let late = everything(&world, &workspace).await;

        let store = WorkerStore::connect(&world.config.database_url, 2)
            .await
            .unwrap();
        let mut admin = PgConnection::connect(world.config.database_url.expose())
            .await
            .unwrap();
        write(&store, &connected, &late).await;
        let only_late = tables(&mut admin, &connected).await;
        empty(&mut admin, &connected).await;
        write(&store, &connected, &early).await;
        write(&store, &connected, &late).await;
        let one_after_the_other = tables(&mut admin, &connected).await;
        for seed in seeds("PROPERTY_SEEDS", 12) {
            // What is shown now, in any order: nothing else is ever held.
            empty(&mut admin, &connected).await;
            write(&store, &connected, &shuffled(&late, seed)).await;
            assert_same(seed, &tables(&mut admin, &connected).await, &only_late);
            // Pages of an earlier time among them: no old one undoes a newer one.
            empty(&mut admin, &connected).await;
            let both: Vec<Delivery> = early.iter().chain(&late).cloned().collect();
            write(&store, &connected, &shuffled(&both, seed)).await;
            let (mut held, mut should) = (
                tables(&mut admin, &connected).await,
                one_after_the_other.clone(),
            );
            // An old answer makes its thread owed once more, which is no loss; nor do answers come so: one slice
            // has a connection's threads at a time.
            held.remove("threads")
                .zip(should.remove("threads"))
                .expect("the table of threads");
            assert_same(seed, &held, &should);
        }
    });
}
