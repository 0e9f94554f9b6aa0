//! What is read ahead for many pieces of work at once, and written later, is what each alone would read and write.

use std::sync::{Arc, Mutex, mpsc};

use bestow_store::gateway::Reservation;
use bestow_store::promotions::Promotion;
use bestow_store::triggers::Taken;
use bestow_store::{Ahead, Error, Tx};

use super::catalogue::promotion;
use crate::support::{Fresh, NOW_MS, TENANT, at_once, reading};

const CUSTOMERS: [&str; 3] = ["P-1", "P-2", "P-3"];
const CODES: [&str; 2] = ["cb10", "fs20"];
/// Reads ahead, and a tenant that never does.
const TENANTS: [i64; 2] = [TENANT, TENANT + 1];

fn ahead(tenant: i64, customer: &str) -> Ahead {
    let codes: Vec<_> = CODES.map(str::to_owned).into();
    Ahead {
        tenant,
        customer: customer.into(),
        campaigns: vec!["rt-1".into()],
        codes: codes.clone(),
        counted_for_customer: codes.clone(),
        counted_for_all: codes,
    }
}

fn reservation(customer: &str, action: i64, codes: &str, lapses_at: i64) -> Reservation {
    Reservation {
        customer: customer.into(),
        campaign: "rt-1".into(),
        action,
        series: None,
        codes: codes.into(),
        asked_at: NOW_MS,
        lapses_at,
        consumed_by: None,
    }
}

/// Numbers that look drawn, the same in each run.
struct Drawn(u64);

impl Drawn {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }
}

/// One step of a transaction: what it says of itself must be the same for both tenants.
fn step(tx: &mut Tx<'_>, tenant: i64, drawn: &mut Drawn) -> Result<String, Error> {
    let customer = drawn.of(&CUSTOMERS);
    let code = drawn.of(&CODES);
    let action = drawn.below(2) as i64;
    let apart = drawn.below(1_000_000) as i64;
    let lapses_at = NOW_MS + [-1 - apart, 1_000][drawn.below(2)];
    let both = CODES.join("\n");
    let codes = if drawn.below(3) == 0 { &both } else { code };
    let one = reservation(customer, action, codes, lapses_at);
    Ok(match drawn.below(12) {
        0..=2 => format!("{:?}", tx.reserve(tenant, &one)?),
        3 => match tx.reservations(tenant, customer)?.last() {
            Some(kept) => format!("{:?}", tx.consume_reservation(tenant, kept, "0a")?),
            None => "none".to_owned(),
        },
        4 => format!("{}", tx.drop_lapsed(tenant, 1)?),
        5 | 6 => format!("{:?}", tx.taken(tenant, code)?),
        7 => format!("{:?}", tx.reservations(tenant, customer)?),
        8 => {
            let customers = [customer.to_owned()];
            format!("{}", tx.exclude(tenant, &customers, "", "asked", "op")?)
        }
        9 => format!("{}", tx.is_excluded(tenant, customer)?),
        10 => {
            let new = Promotion {
                status: ["active", "paused"][action as usize].into(),
                ..promotion(code)
            };
            tx.put_promotion(tenant, &new)?;
            format!("{:?}", tx.promotion(tenant, code)?)
        }
        _ => {
            let known = format!("{:?}", tx.campaign(tenant, "rt-1")?);
            tx.see_campaign(tenant, "rt-1", "triggered", "notification")?;
            known
        }
    })
}

pub(crate) async fn steps_are_the_same_with_and_without(fresh: Fresh) {
    for round in 0..12 {
        let mut said = Vec::new();
        for tenant in TENANTS {
            let work = move |tx: &mut Tx<'_>| {
                let mut drawn = Drawn(round);
                let steps = (0..40).map(|_| step(tx, tenant, &mut drawn));
                let said = steps.collect::<Result<Vec<_>, Error>>()?;
                tx.drop_lapsed_later(tenant, 1)?;
                Ok::<_, Error>(said)
            };
            let store = fresh.store();
            let ran = if tenant == TENANT {
                let ahead = || ahead(tenant, CUSTOMERS[round as usize % 3]);
                store.tx_ahead("steps", ahead, work).await
            } else {
                store.tx("steps", work).await
            };
            said.push(ran.expect("committed"));
        }
        assert_eq!(said[0], said[1], "round {round}");
        let kept = TENANTS.map(|tenant| {
            fresh.read(|tx| {
                let held = CUSTOMERS.map(|customer| tx.reservations(tenant, customer));
                let taken = CODES.map(|code| tx.taken(tenant, code));
                Ok((
                    held.into_iter().collect::<Result<Vec<_>, Error>>()?,
                    taken.into_iter().collect::<Result<Vec<_>, Error>>()?,
                ))
            })
        });
        assert_eq!(kept[0], kept[1], "round {round}");
    }
}

/// Keeps the store's writer until the answer is dropped, so that what comes meanwhile goes together.
async fn hold(fresh: &Fresh) -> mpsc::Sender<()> {
    let (let_go, is_let_go) = mpsc::channel::<()>();
    let (holds, is_held) = tokio::sync::oneshot::channel();
    let held = Mutex::new(Some((holds, is_let_go)));
    let store = fresh.store().clone();
    tokio::spawn(async move {
        let held = store.tx("hold", move |_| {
            if let Some((holds, is_let_go)) = held.lock().expect("no holder panics").take() {
                // Both ends tell by going away.
                let _ = holds.send(());
                let _ = is_let_go.recv();
            }
            Ok::<_, Error>(())
        });
        held.await.expect("held");
    });
    is_held.await.expect("it holds");
    let_go
}

pub(crate) async fn of_many_who_ask_together_only_as_many_as_there_is_room(fresh: Fresh) {
    let let_go = hold(&fresh).await;
    let (store, let_go) = (fresh.store().clone(), Arc::new(Mutex::new(Some(let_go))));
    let answers = at_once(60, |n| {
        let (store, let_go) = (store.clone(), Arc::clone(&let_go));
        let customer = format!("P-{n}");
        Box::pin(async move {
            let ahead = ahead(TENANT, &customer);
            let asked = store.tx_ahead(
                "ask",
                || ahead,
                move |tx| {
                    let Taken { reserved, .. } = tx.taken(TENANT, "cb10")?;
                    let has_room = reserved < 7;
                    if has_room {
                        let new = reservation(&customer, 0, "cb10", NOW_MS + 1_000);
                        tx.reserve(TENANT, &new)?;
                    }
                    // One who fails must leave nothing, and undo nobody else's.
                    if n % 10 == 3 {
                        return Err(Error::LeaseLost);
                    }
                    Ok::<_, Error>(has_room)
                },
            );
            if n == 59 {
                // By now most of the others wait.
                drop(let_go.lock().expect("no holder panics").take());
            }
            asked.await
        })
    })
    .await;
    let yes = answers.iter().filter(|one| matches!(one, Ok(true))).count();
    let failed = answers
        .iter()
        .filter(|one| matches!(one, Err(Error::LeaseLost)));
    assert_eq!((yes, failed.count()), (7, 6));
    assert_eq!(fresh.read(|tx| tx.taken(TENANT, "cb10")).reserved, 7);
    let held = (0..60).map(|n| {
        fresh
            .read(|tx| tx.reservations(TENANT, &format!("P-{n}")))
            .len()
    });
    assert_eq!(held.sum::<usize>(), 7);
}

pub(crate) async fn grants_are_read_ahead_too(fresh: Fresh) {
    let reading = reading(&fresh, "5101").await;
    reading.merge(&fresh, reading.chunk(&["P-1", "P-2"])).await;
    let read = |tx: &mut Tx<'_>| {
        let of = |customer| tx.grants_for_code(TENANT, customer, "fs20");
        CUSTOMERS
            .map(of)
            .into_iter()
            .collect::<Result<Vec<_>, Error>>()
    };
    let plain = fresh.tx(read).await;
    let ahead = || ahead(TENANT, "P-1");
    let near = fresh.store().tx_ahead("read", ahead, read).await;
    assert_eq!(near.expect("read"), plain);
    assert_eq!(plain.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 0]);
}

pub(crate) async fn look_ups_that_wait_together_get_their_own(fresh: Fresh) {
    let reading = reading(&fresh, "5101").await;
    let customers: Vec<_> = (0..50).map(|n| format!("C{n:02}")).collect();
    let customers: Vec<_> = customers.iter().map(String::as_str).collect();
    reading.merge(&fresh, reading.chunk(&customers)).await;
    let store = fresh.store().clone();
    let found = at_once(300, |n| {
        let store = store.clone();
        Box::pin(async move {
            let (tenant, customer) = (TENANT + n as i64 % 2, format!("C{:02}", n % 60));
            let rows = store.ledger_rows(tenant, &customer).await.expect("found");
            (tenant, customer, rows)
        })
    })
    .await;
    for (tenant, customer, rows) in found {
        let plain = fresh.read(|tx| tx.ledger_rows(tenant, &customer));
        assert_eq!(rows, plain, "{tenant} {customer}");
        let is_there = tenant == TENANT && customers.contains(&&*customer);
        assert_eq!(rows.len(), usize::from(is_there), "{tenant} {customer}");
    }
}
