package edgeort.model;

import java.nio.ByteBuffer;

/** The C code of the package (edgeort/runtime/bindings/android). Who calls holds the model's lock, and the model is open. */
final class Native {
    static {
        System.loadLibrary(Bundled.LIBRARY);
    }

    private Native() {}

    static native long open(int file, long offset, long length, int threads);

    static native boolean isCopied(long model);

    static native void close(long model);

    static native int count(long model, boolean output);

    static native byte[] name(long model, boolean output, int index);

    static native long[] form(long model, boolean output, int index);

    /** An edgeort_status, which `error` explains, as that of a run. */
    static native int setInput(long model, int index, int type, long[] shape, ByteBuffer data);

    static native int run(long model);

    static native byte[] error(long model);

    static native ByteBuffer output(long model, int index);

    static native long textBytes(long model, int index);

    static native void copyTexts(long model, int index, ByteBuffer to);

    static native void toRgb(int[] colours, ByteBuffer rgb);
}
