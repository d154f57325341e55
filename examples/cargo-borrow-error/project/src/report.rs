use crate::account::Accounts;
use std::fmt::Write;

pub fn text(accounts: &Accounts) -> String {
    let mut lines = String::new();
    for (account, balance) in accounts.all() {
        writeln!(lines, "account {account}: {balance:>8}").unwrap();
    }
    let total: i32 = accounts.all().map(|(_, balance)| balance).sum();
    writeln!(lines, "total {total}").unwrap();
    lines
}
