import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Properties;
import java.util.StringJoiner;
import java.util.TreeSet;

/** As programs that speak JDBC: what they list, with and without the option, and what they read. */
class Listing {
    public static void main(String[] arguments) throws SQLException {
        try (Connection plain = connected("")) {
            System.out.println("schemas " + schemas(plain));
        }
        try (Connection hiding = connected("?currentSchema=bi_v1&hideUnprivilegedObjects=true")) {
            System.out.println("privileged " + schemas(hiding));
            System.out.println("views " + views(hiding));
            read(hiding);
        }
    }

    private static Connection connected(String options) throws SQLException {
        Properties account = new Properties();
        account.put("user", System.getenv("PGUSER"));
        account.put("password", System.getenv("PGPASSWORD"));
        String where = System.getenv("PGHOST") + ":" + System.getenv("PGPORT");
        String database = System.getenv("PGDATABASE");
        return DriverManager.getConnection("jdbc:postgresql://" + where + "/" + database + options, account);
    }

    private static String schemas(Connection connection) throws SQLException {
        StringJoiner names = new StringJoiner(" ");
        try (ResultSet rows = connection.getMetaData().getSchemas()) {
            while (rows.next()) {
                names.add(rows.getString("TABLE_SCHEM"));
            }
        }
        return names.toString();
    }

    /** The schemas in which anything is listed, and how many views there are. */
    private static String views(Connection connection) throws SQLException {
        TreeSet<String> schemas = new TreeSet<>();
        int views = 0;
        String[] kinds = {"TABLE", "VIEW", "MATERIALIZED VIEW", "PARTITIONED TABLE", "FOREIGN TABLE"};
        try (ResultSet rows = connection.getMetaData().getTables(null, null, "%", kinds)) {
            while (rows.next()) {
                schemas.add(rows.getString("TABLE_SCHEM"));
                views++;
            }
        }
        return String.join(" ", schemas) + " " + views;
    }

    /** The messages in pages of a cursor; one campaign by its name; a column of each type. */
    private static void read(Connection connection) throws SQLException {
        connection.setAutoCommit(false);
        int rows = 0;
        try (PreparedStatement statement = connection.prepareStatement("SELECT * FROM messages")) {
            statement.setFetchSize(100);
            try (ResultSet found = statement.executeQuery()) {
                while (found.next()) {
                    rows++;
                }
            }
        }
        System.out.println("rows " + rows);
        String query = "SELECT messages, price, delivery_rate FROM campaigns WHERE campaign_name = ?";
        try (PreparedStatement statement = connection.prepareStatement(query)) {
            statement.setString(1, "\u03a0\u03ac\u03c3\u03c7\u03b1");
            try (ResultSet found = statement.executeQuery()) {
                found.next();
                System.out.println("campaign " + found.getLong(1) + " " + found.getBigDecimal(2));
            }
        }
    }
}
