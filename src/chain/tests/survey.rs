//! Surveys of batches before they are judged.

use super::miner::{World, linked, mine_run, regtest};
use crate::chain::Survey;
use crate::primitives::{Header, Work};

fn survey(world: &World, headers: &[Header]) -> Survey {
    world.tree.survey(linked(headers), &world.memory).unwrap().unwrap()
}

#[test]
fn a_survey_tells_where_each_batch_would_end_and_with_what_work() {
    let (mut world, chain) = World::with_active(300);
    let side = mine_run(&chain[200], 7, 20);
    world.accept(&side);
    let work = |headers: u32| Work::of_bits(chain[0].bits).times(headers + 1);
    let told = |headers: &[Header]| {
        let survey = survey(&world, headers);
        let rest = survey.rest().headers().len();
        assert_eq!(*survey.work(), work(survey.height()), "each header has the same work");
        (survey.fork_height(), survey.shared().len(), rest, survey.height())
    };
    assert_eq!(told(&mine_run(&chain[300], 1, 5)), (300, 0, 5, 305), "on top");
    assert_eq!(told(&chain[290..=300]), (300, 0, 0, 300), "known");
    let known_and_new = [&chain[290..=300], &mine_run(&chain[300], 1, 5)].concat();
    assert_eq!(told(&known_and_new), (300, 0, 5, 305), "known, then on top");
    assert_eq!(told(&mine_run(&chain[100], 1, 50)), (100, 0, 50, 150), "a branch of its own");
    assert_eq!(told(&mine_run(&side[19], 1, 50)), (200, 20, 50, 270), "on a branch's end");
    assert_eq!(told(&mine_run(&side[9], 1, 50)), (200, 10, 50, 260), "on a branch's middle");
    assert_eq!(told(&side), (200, 20, 0, 220), "a known branch");
    let orphan = mine_run(&mine_run(&chain[100], 1, 1)[0], 1, 5);
    assert!(world.tree.survey(linked(&orphan), &world.memory).unwrap().is_none());
}

#[test]
fn the_state_before_a_batch_is_that_of_its_own_parent() {
    let (mut world, chain) = World::with_active(300);
    let side = mine_run(&chain[200], 7, 20);
    world.accept(&side);
    for parent in [&chain[300], &chain[150], &side[19], &side[4]] {
        let survey = survey(&world, &mine_run(parent, 3, 5));
        let state = world.tree.state_before(&survey, &world.memory).unwrap();
        assert_eq!(state.hash(), parent.hash());
        assert_eq!(state.height() + 5, survey.height());
    }
}

/// Bitcoin Core `GetAntiDoSWorkThreshold`, worked out by hand: a regtest header has work 2.
#[test]
fn the_threshold_is_a_day_below_the_tip_and_never_below_the_minimum() {
    let hex = |text: &str| -> Work { text.parse().unwrap() };
    let (world, _) = World::with_active(300);
    assert_eq!(*world.tree.active().chainwork(), hex("25a"), "301 headers");
    assert_eq!(world.tree.low_work_threshold(&Work::default()), hex("13a"), "157 headers");
    assert_eq!(world.tree.low_work_threshold(&hex("13b")), hex("13b"));
    assert_eq!(world.tree.low_work_threshold(&hex("fff")), hex("fff"));
    let (short, _) = World::with_active(100);
    assert_eq!(short.tree.low_work_threshold(&Work::default()), Work::default());
    assert_eq!(regtest().genesis.bits, 0x207f_ffff);
}
