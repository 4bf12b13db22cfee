//! The real host, killed with SIGKILL at random and at chosen moments, under load, while AWS fails in every way and hours
//! pass; then every count is compared: the clients', the ledgers', and what AWS would bill.
//!
//! `TOLLGATE_KILLS=500 cargo test -p tollgate-cli --test it -- torture:: --nocapture` is the long run. `TOLLGATE_SEED`
//! chooses other faults and moments; what the scheduler does in between no seed repeats.

mod audit;
mod calls;
mod clients;
mod cut;
mod dice;
mod life;
mod report;
mod story;
mod world;

pub(crate) use dice::Dice;
use report::Report;
use world::World;

use crate::support::METER_HTTP;

/// Worlds at the same time: one waits for the disk or for a moment while another computes.
const LANES: u64 = 4;
/// Kills in one world: some days of it.
const KILLS_A_WORLD: u64 = 50;
/// In every run of the tests.
const KILLS: u64 = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "the counts are what the long run is for")]
async fn no_kill_bills_a_unit_twice_or_loses_one_that_a_client_has() {
    let (kills, seed) = (number("TOLLGATE_KILLS", KILLS), number("TOLLGATE_SEED", 1));
    println!("{kills} kills, seed {seed}");
    let lanes: Vec<_> = (0..LANES)
        .map(|lane| tokio::spawn(lane_of(seed * 1_000 + lane * 100, kills / LANES + u64::from(lane < kills % LANES))))
        .collect();
    let mut all = Report::default();
    for lane in lanes {
        all.merge(&lane.await.unwrap());
    }
    println!("{all}");
    assert_eq!(all.number_of_kills(), kills);
}

/// One world after the other. Every second listing declares `carry`.
async fn lane_of(seed: u64, mut kills: u64) -> Report {
    let mut all = Report::default();
    let mut number = 0;
    while kills > 0 {
        let now = kills.min(KILLS_A_WORLD);
        let carry = (seed / 100 + number) % 2 == 1;
        let mut world = World::new(seed + number, &manifest(carry)).await;
        for _ in 0..now {
            world.one_kill().await;
        }
        world.heal_and_compare().await;
        all.merge(&world.report);
        all.also(if carry { "worlds with carry" } else { "worlds without carry" }, 1);
        (kills, number) = (kills - now, number + 1);
    }
    all
}

fn manifest(carry: bool) -> String {
    let listing = "entitlement_dimension = \"start\"\n";
    let pixels = "[[dimension]]\nkey = \"pixels\"\nfrom = \"guest\"\nper = 1000\n\n";
    METER_HTTP
        .replace(listing, &format!("{listing}carry = {carry}\n"))
        .replace("[[component]]", &format!("{pixels}[[component]]"))
}

#[expect(clippy::disallowed_methods, reason = "the length of the run is the caller's choice")]
fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}
