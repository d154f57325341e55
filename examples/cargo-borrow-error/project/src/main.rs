mod account;
mod report;

use account::Accounts;

fn main() {
    let mut accounts = Accounts::default();
    for number in 0..20 {
        accounts.book(number % 4, number as i64 * 10 - 70);
    }
    println!("{}", report::text(&accounts));
}
