//! Contacts, in days of the workspace's time zone. Search up to 2.16 knows nothing finer, and days have 23 to 25 hours.

use std::time::Duration;

use intercom_simulator::{Kind, Mutation, WorkspaceSpec};

use crate::support::{Case, rows, tiny, unix};

/// Changes around a local midnight, through the day that it begins and over the day's end, a poll after each few.
async fn every_change_around_midnight_is_held(timezone: &str, midnight: &str) {
    let clock_of = |case: &Case, second: i64| {
        case.world
            .simulator
            .clock()
            .set_now(unix(midnight) + second);
    };
    let spec = WorkspaceSpec {
        timezone: timezone.to_owned(),
        companies: 0,
        conversations: 1,
        ..tiny()
    };
    let case = Case::at(midnight, spec).await;
    // The first sync ends half a day before, so that midnight lies between two polls.
    clock_of(&case, -43_200);
    let case = case.synced().await;
    // Each line: seconds after midnight at which a contact changes, and at which a poll follows.
    let days: [(&[i64], i64); 5] = [
        (&[-2, -1, 0, 1], 600),
        (&[601, 3_600, 43_200], 50_000),
        (&[82_799, 82_800, 86_399, 86_400, 86_401], 86_500),
        // A day of 25 hours: a day before this poll is still the same one.
        (&[87_000], 88_900),
        (&[89_999, 90_000, 90_001], 90_060),
    ];
    for (changes, poll) in days {
        for (seed, second) in changes.iter().enumerate() {
            clock_of(&case, *second);
            case.mutate(Mutation::update(Kind::Contact, 1).seed(seed as u64));
        }
        clock_of(&case, poll);
        case.poll_exact(0).await;
    }
    // A poller that comes every few minutes is still right within one local day.
    case.world
        .simulator
        .clock()
        .advance(Duration::from_secs(300));
    case.mutate(Mutation::update(Kind::Contact, 1).seed(9));
    case.poll_exact(0).await;
}

rows! { every_change_around_midnight_is_held:
    a_change_around_midnight_is_held_in_utc("UTC", "2026-06-10T00:00:00Z");
    a_change_around_midnight_is_held_fourteen_hours_ahead("Pacific/Kiritimati", "2026-06-10T00:00:00+14:00");
    a_change_around_midnight_is_held_eleven_hours_behind("Pacific/Pago_Pago", "2026-06-10T00:00:00-11:00");
    a_change_around_midnight_is_held_at_a_half_hour("Asia/Kolkata", "2026-06-10T00:00:00+05:30");
    a_change_around_midnight_is_held_at_a_quarter_hour("Asia/Kathmandu", "2026-06-10T00:00:00+05:45");
    a_change_around_midnight_is_held_at_three_quarters("Pacific/Chatham", "2026-09-27T00:00:00+12:45");
    a_change_around_midnight_is_held_behind_by_a_half_hour("America/St_Johns", "2026-03-08T00:00:00-03:30");
    a_day_of_23_hours_is_held_in_the_west("America/Los_Angeles", "2026-03-08T00:00:00-08:00");
    a_day_of_25_hours_is_held_in_the_west("America/Los_Angeles", "2026-11-01T00:00:00-07:00");
    a_day_of_23_hours_is_held_in_the_east("Europe/Berlin", "2026-03-29T00:00:00+01:00");
    a_day_of_25_hours_is_held_in_the_east("Europe/Berlin", "2026-10-25T00:00:00+02:00");
    a_day_of_25_hours_is_held_in_the_south("Australia/Sydney", "2026-04-05T00:00:00+11:00");
    a_day_of_23_and_a_half_hours_is_held("Australia/Lord_Howe", "2026-10-04T00:00:00+10:30");
    a_day_of_24_and_a_half_hours_is_held("Australia/Lord_Howe", "2026-04-05T00:00:00+11:00");
    a_day_without_midnight_is_held("America/Santiago", "2026-09-06T00:00:00-04:00");
    a_day_with_two_midnights_is_held("America/Havana", "2026-11-01T00:00:00-04:00");
    a_zone_whose_winter_is_its_summer_time_is_held("Europe/Dublin", "2026-10-25T00:00:00+01:00");
    a_change_around_new_year_is_held("Pacific/Auckland", "2027-01-01T00:00:00+13:00");
}
