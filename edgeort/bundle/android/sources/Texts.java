package edgeort.model;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/**
 * Strings in one buffer, as C reads them (edgeort_string): an entry for each, and behind the entries their UTF-8.
 *
 * <p>An entry is 8 bytes in which C notes where the string is while a run lasts, and its length in 8 bytes.
 */
final class Texts {
    static final int ENTRY = 16;
    private static final int LENGTH = 8; // where an entry has it

    private Texts() {}

    static ByteBuffer packed(String[] texts) {
        byte[][] encoded = new byte[texts.length][];
        long bytes = (long) ENTRY * texts.length;
        for (int i = 0; i < texts.length; ++i) {
            encoded[i] = texts[i].getBytes(StandardCharsets.UTF_8);
            bytes += encoded[i].length;
        }
        ByteBuffer data = Tensor.allocate(bytes);
        data.position(ENTRY * texts.length);
        for (int i = 0; i < texts.length; ++i) {
            data.putLong(ENTRY * i + LENGTH, encoded[i].length);
            data.put(encoded[i]);
        }
        data.rewind();
        return data;
    }

    static String[] unpacked(ByteBuffer data, int count) {
        String[] texts = new String[count];
        ByteBuffer from = data.duplicate().order(ByteOrder.nativeOrder());
        from.position(ENTRY * count);
        for (int i = 0; i < count; ++i) {
            byte[] encoded = new byte[(int) from.getLong(ENTRY * i + LENGTH)];
            from.get(encoded);
            texts[i] = new String(encoded, StandardCharsets.UTF_8);
        }
        return texts;
    }
}
