import android.content.Context;
import android.graphics.Bitmap;
import edgeort.m.EdgeortModel;
import edgeort.m.ElementType;
import edgeort.m.Tensor;
import java.io.File;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;

/** What an app may do with a package, and what it may do wrong; each prints a line. */
public final class Main {
    private static final float[] VALUES = {1, 2, 3, 4, 5, 6, 7, 8};
    private static final int MANY = 1 << 20;

    public static void main(String[] arguments) throws Exception {
        File file = new File(arguments[1]);
        long offset = Long.parseLong(arguments[2]);
        long length = Long.parseLong(arguments[3]);
        Context context = new Context(file, offset, length);
        switch (arguments[0]) {
            case "run":
                try (EdgeortModel model = EdgeortModel.open(context, 2)) {
                    System.out.println(model.inputs() + " " + model.outputs());
                    print("run", model.runHere(Tensor.of(VALUES, 1, 8)));
                }
                break;
            case "picture":
                try (EdgeortModel model = EdgeortModel.open(context)) {
                    int[] colours = {0xff010203, 0x80fefdfc, 0x00000000, 0xffffffff, 0xff102030, 0x01405060};
                    print("picture", model.runHere(new Bitmap(3, colours)));
                    print("picture", model.runAsync(new Bitmap(2, colours)).get());
                }
                break;
            case "strings":
                try (EdgeortModel model = EdgeortModel.open(context)) {
                    System.out.println(model.inputs() + " " + model.outputs());
                    strings(model);
                }
                break;
            case "view":
                try (EdgeortModel model = EdgeortModel.open(context, 1)) {
                    System.out.println("view: " + isKept(model.runHere(passing())));
                }
                break;
            case "misuse":
                misuse(file, context, offset, length);
                break;
            default:
                together(context);
        }
    }

    /** What goes in comes out, as a view and joined; and goes in again. */
    private static void strings(EdgeortModel model) {
        String[] texts = {"caf\u00e9", "", "\ud83d\ude80 \u65e5\u672c", "nul\u0000inside", "a", "b"};
        List<Tensor> first = model.runHere(Tensor.of(texts, 2, 3));
        for (Tensor output : model.runHere(first.get(0))) {
            boolean same = Arrays.equals(output.shape(), new long[] {2, 3});
            System.out.println(output.type() + " " + same + " " + hex(output.strings()));
        }
        System.out.println("none: " + model.runHere(Tensor.of(new String[0], 0, 3)).get(0).strings().length);
        attempt("no numbers", () -> first.get(0).floats());
        attempt("numbers for strings", () -> model.runHere(Tensor.of(new int[6], 2, 3)));
    }

    /** UTF-8, so that it is the same whatever the terminal's encoding. */
    private static String hex(String[] texts) {
        StringBuilder text = new StringBuilder();
        for (String one : texts) {
            text.append(text.length() == 0 ? "" : " ").append('<');
            for (byte unit : one.getBytes(StandardCharsets.UTF_8)) {
                text.append(String.format("%02x", unit));
            }
            text.append('>');
        }
        return text.toString();
    }

    /** A tensor that nobody holds but who is given it, and as much that nobody holds at all. */
    private static Tensor passing() {
        float[] values = new float[MANY];
        Arrays.fill(values, 7);
        Tensor made = Tensor.of(values, 1, MANY);
        ByteBuffer.allocateDirect(4 * MANY);
        return made;
    }

    private static boolean isKept(List<Tensor> outputs) {
        for (float value : outputs.get(0).floats()) {
            if (value != 7) {
                return false;
            }
        }
        return true;
    }

    private static void misuse(File file, Context context, long offset, long length) throws Exception {
        attempt("no model", () -> EdgeortModel.open(new Context(new File("/nowhere"), 0, 1)));
        attempt("beyond", () -> EdgeortModel.open(new Context(file, offset, Long.MAX_VALUE)));
        attempt("before", () -> EdgeortModel.open(new Context(file, -64, length)));
        attempt("empty", () -> EdgeortModel.open(new Context(file, offset, 0)));
        attempt("half", () -> EdgeortModel.open(new Context(file, offset, length / 2)));
        attempt("elsewhere", () -> EdgeortModel.open(new Context(file, offset + 64, length - 64)));
        attempt("no such file", () -> EdgeortModel.open(new File("/nowhere"), 1));
        EdgeortModel model = EdgeortModel.open(context, 2);
        attempt("too few", () -> model.runHere());
        attempt("other shape", () -> model.runHere(Tensor.of(VALUES, 2, 4)));
        attempt("other rank", () -> model.runHere(Tensor.of(VALUES)));
        attempt("nine dimensions", () -> model.runHere(Tensor.of(VALUES, 1, 8, 1, 1, 1, 1, 1, 1, 1)));
        attempt("other type", () -> model.runHere(Tensor.of(new int[8], 1, 8)));
        attempt("too short", () -> Tensor.of(VALUES, 2, 8));
        attempt("negative", () -> Tensor.of(VALUES, -1, 8));
        attempt("overflow", () -> Tensor.of(VALUES, 1L << 40, 1L << 40));
        attempt("2 GiB", () -> Tensor.of(new Bitmap(1 << 15, 21846, null)));
        attempt("2^34 pixels", () -> Tensor.of(new Bitmap(1 << 17, 1 << 17, null)));
        attempt("few strings", () -> Tensor.of(new String[] {"a long one", "another long one"}, 3));
        attempt("bytes as strings", () -> Tensor.of(ElementType.STRING, ByteBuffer.allocateDirect(32), 2));
        attempt("strings as bytes", () -> Tensor.of(new String[] {"a"}).data());
        attempt("strings for numbers", () -> model.runHere(Tensor.of("a b c d e f g h".split(" "), 1, 8)));
        attempt("not direct", () -> Tensor.of(ElementType.FLOAT32, ByteBuffer.allocate(32), 1, 8));
        ByteBuffer odd = ByteBuffer.allocateDirect(33);
        odd.position(1);
        attempt("not aligned", () -> model.runHere(Tensor.of(ElementType.FLOAT32, odd, 1, 8)));
        attempt("no picture", () -> model.runHere(new Bitmap(1, new int[1])));
        attempt("no tensor", () -> model.runHere((Tensor) null));
        attempt("no floats", () -> model.runHere(Tensor.of(VALUES, 1, 8)).get(0).longs());
        print("still there", model.runHere(Tensor.of(VALUES, 1, 8)));
        System.out.println("nothing in: " + model.runHere(Tensor.of(new float[0], 0, 8)).get(0).floats().length);
        model.close();
        model.close();
        attempt("closed", () -> model.runHere(Tensor.of(VALUES, 1, 8)));
        attempt("closed", () -> model.runAsync(Tensor.of(VALUES, 1, 8)).get());
    }

    private static void together(Context context) throws Exception {
        EdgeortModel model = EdgeortModel.open(context, 2);
        List<Thread> threads = new ArrayList<>();
        String[] found = new String[4];
        for (int i = 0; i < found.length; ++i) {
            int me = i;
            threads.add(new Thread(() -> {
                float[] values = {me, 2, 3, 4, 5, 6, 7, 8};
                String first = text(model.runHere(Tensor.of(values, 1, 8)));
                boolean same = true;
                for (int k = 0; k < 100; ++k) {
                    same &= text(model.runHere(Tensor.of(values, 1, 8))).equals(first);
                }
                found[me] = same ? first : "differs";
            }));
        }
        for (Thread thread : threads) {
            thread.start();
        }
        for (Thread thread : threads) {
            thread.join();
        }
        for (int i = 0; i < found.length; ++i) {
            System.out.println("thread " + i + ": " + found[i]);
        }
        Thread runs = new Thread(() -> attempt("closed under it", () -> {
            while (true) {
                model.runHere(Tensor.of(VALUES, 1, 8));
            }
        }));
        runs.start();
        Thread.sleep(20);
        model.close();
        runs.join();
    }

    private static void attempt(String name, Callable<?> work) {
        try {
            Object made = work.call();
            System.out.println(name + ": " + made);
        } catch (ExecutionException error) {
            System.out.println(name + ": " + error.getCause());
        } catch (Exception error) {
            System.out.println(name + ": " + error);
        }
    }

    private static void print(String name, List<Tensor> outputs) {
        System.out.println(name + ": " + text(outputs));
    }

    private static String text(List<Tensor> outputs) {
        StringBuilder text = new StringBuilder();
        for (float value : outputs.get(0).floats()) {
            text.append(text.length() == 0 ? "" : " ").append(Float.floatToRawIntBits(value));
        }
        return text.toString();
    }
}
