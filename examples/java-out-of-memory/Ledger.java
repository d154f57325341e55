import java.time.LocalDate;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.logging.Level;
import java.util.logging.Logger;

/** Books entries day by day, and keeps every statement it ever rendered in a cache without a bound. */
public final class Ledger {
    private static final Logger LOG = Logger.getLogger("ledger.Statements");
    private final Map<String, List<String>> statements = new HashMap<>();

    private List<String> statement(String account, LocalDate day) {
        return statements.computeIfAbsent(account + "/" + day, key -> {
            List<String> rows = new ArrayList<>();
            for (int row = 0; row < 400; row++) {
                rows.add(String.format("%s %s row %05d amount %12d", account, day, row, (long) row * 7919));
            }
            return rows;
        });
    }

    private void close(LocalDate day) {
        long rows = 0;
        for (int account = 1; account <= 10; account++) {
            rows += statement("acc-" + account, day).size();
        }
        Runtime memory = Runtime.getRuntime();
        long used = (memory.totalMemory() - memory.freeMemory()) >> 20;
        LOG.info(String.format("closed %s: %d rows, cached statements %d, heap %d of %d MB", day, rows, statements.size(),
            used, memory.maxMemory() >> 20));
        if (used * 10 > (memory.maxMemory() >> 20) * 8) {
            LOG.warning("heap use is above 80 percent");
        }
    }

    public static void main(String[] arguments) throws InterruptedException {
        System.setProperty("java.util.logging.SimpleFormatter.format", "%1$tF %1$tT.%1$tL %4$-7s [%3$s] %5$s%6$s%n");
        Ledger ledger = new Ledger();
        Thread booking = new Thread(() -> {
            LocalDate day = LocalDate.of(2026, 1, 1);
            try {
                while (true) {
                    ledger.close(day);
                    day = day.plusDays(1);
                }
            } catch (OutOfMemoryError problem) {
                ledger.statements.clear(); // else nothing is left to log with
                Logger.getLogger("ledger.Main").log(Level.SEVERE, "closing " + day + " failed, shutting down", problem);
                System.exit(1);
            }
        }, "booking-1");
        LOG.info("ledger 4.2.0 starting");
        booking.start();
        booking.join();
    }
}
