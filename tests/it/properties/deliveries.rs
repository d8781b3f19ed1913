//! What Intercom shows at one time, as transactions that can be written in any order.

use shared::{
    domain::{
        Class, Region, Secret,
        records::{Company, Contact, Conversation, ReferenceItem, SubList, Thread},
    },
    intercom::{
        Endpoint, Intercom, PAGE, Search,
        wire::{self, Next, Page, ReferenceKind},
    },
    store::{FetchedThread, WorkerStore},
};
use simulation::rng::Rng;

use crate::support::Case;

/// What one transaction writes.
#[derive(Clone, Debug)]
pub(super) enum Delivery {
    Contacts(Vec<Contact>),
    Companies(Vec<Company>),
    Stubs(Vec<Conversation>),
    Threads(Vec<Thread>),
    Reference(ReferenceKind, Vec<ReferenceItem>),
}

/// Everything that the workspace shows now, read and parsed as the fleet does.
pub(super) async fn everything(case: &Case) -> Vec<Delivery> {
    let intercom = Intercom::new(&case.world.config).unwrap();
    let reader = intercom.workspace(
        &case.workspace.id_code(),
        Region::Us,
        "2.16",
        Secret::new(case.workspace.token()),
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
        .filter(|contact| !contact.companies.is_whole())
    {
        let body = read(Endpoint::ContactCompanies {
            id: &contact.source_id,
            page: 1,
        })
        .await;
        let list = Page::split(&body).unwrap();
        assert!(!matches!(list.next, Some(Next::Number(_))));
        contact.companies = SubList::Whole(wire::company_ids(&list.items).unwrap());
    }
    let body = read(Endpoint::CompaniesScroll { param: None }).await;
    let companies = Page::split(&body)
        .unwrap()
        .items
        .iter()
        .filter_map(|raw| wire::read_company(raw).ok())
        .collect();
    // A workspace has one scroll, and the next reading needs it.
    case.workspace.release_scroll();
    let search = Search::newest_first(chrono::DateTime::UNIX_EPOCH, None, PAGE);
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
pub(super) fn shuffled(all: &[Delivery], seed: u64) -> Vec<Delivery> {
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
            // An answer may be written twice, if a crash comes between commit and settlement.
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

pub(super) async fn write(store: &WorkerStore, case: &Case, deliveries: &[Delivery]) {
    let connection = case.connection();
    for delivery in deliveries.iter().cloned() {
        let mut tx = store.begin(case.tenant).await.unwrap();
        match delivery {
            Delivery::Contacts(contacts) => {
                drop(tx.write_contacts(connection, contacts).await.unwrap());
            }
            Delivery::Companies(companies) => {
                drop(tx.write_companies(connection, companies).await.unwrap());
            }
            Delivery::Stubs(stubs) => drop(tx.write_stubs(connection, stubs).await.unwrap()),
            Delivery::Threads(threads) => {
                let fetched = threads.into_iter().map(FetchedThread::from);
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
