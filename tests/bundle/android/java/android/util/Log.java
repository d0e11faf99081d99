package android.util;

public class Log {
    public static int i(String tag, String message) {
        System.out.println("log: " + tag + ": " + message);
        return 0;
    }
}
