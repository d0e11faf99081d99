package edgeort.model;

import android.graphics.Bitmap;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** Elements of one type, the last dimension densest, in a direct buffer of the machine's byte order: 2 GiB at most. */
public final class Tensor {
    final ElementType type;
    final long[] shape;
    final ByteBuffer data;

    Tensor(ElementType type, long[] shape, ByteBuffer data) {
        this.type = type;
        this.shape = shape;
        this.data = data;
        long bytes = multiplied(type.bytes, elements(shape));
        if (data.capacity() < bytes) {
            throw EdgeortException.invalid("there are " + data.capacity() + " bytes; the shape needs " + bytes);
        }
    }

    /** The values, copied. Without a shape: one dimension. */
    public static Tensor of(float[] values, long... shape) {
        ByteBuffer data = allocate(multiplied(4, values.length));
        data.asFloatBuffer().put(values);
        return new Tensor(ElementType.FLOAT32, shapeOf(values.length, shape), data);
    }

    /** The values, copied. */
    public static Tensor of(int[] values, long... shape) {
        ByteBuffer data = allocate(multiplied(4, values.length));
        data.asIntBuffer().put(values);
        return new Tensor(ElementType.INT32, shapeOf(values.length, shape), data);
    }

    /** The values, copied. */
    public static Tensor of(long[] values, long... shape) {
        ByteBuffer data = allocate(multiplied(8, values.length));
        data.asLongBuffer().put(values);
        return new Tensor(ElementType.INT64, shapeOf(values.length, shape), data);
    }

    /** The strings, copied. */
    public static Tensor of(String[] values, long... shape) {
        long[] dims = shapeOf(values.length, shape);
        if (elements(dims) != values.length) {
            throw EdgeortException.invalid("there are " + values.length + " strings; the shape needs " + elements(dims));
        }
        return new Tensor(ElementType.STRING, dims, Texts.packed(values));
    }

    /** The bytes of a direct buffer from its position on, which a run reads in place: fill them anew for the next. */
    public static Tensor of(ElementType type, ByteBuffer data, long... shape) {
        if (!data.isDirect()) {
            throw EdgeortException.invalid("the buffer is not direct: ByteBuffer.allocateDirect");
        }
        if (type == ElementType.STRING) {
            throw EdgeortException.invalid("strings are no bytes of a buffer: Tensor.of(String[], shape...)");
        }
        return new Tensor(type, shape.clone(), data.slice().order(ByteOrder.nativeOrder()));
    }

    /** The picture's pixels, uint8 of [height, width, 3]: red, green, blue; how opaque they are does not count. */
    public static Tensor of(Bitmap picture) {
        int height = picture.getHeight();
        int width = picture.getWidth();
        ByteBuffer data = allocate(multiplied(3, multiplied(height, width)));
        int[] colours = new int[height * width];
        picture.getPixels(colours, 0, width, 0, 0, width, height);
        Native.toRgb(colours, data);
        return new Tensor(ElementType.UINT8, new long[] {height, width, 3}, data);
    }

    /** The type of the elements. */
    public ElementType type() {
        return type;
    }

    /** The dimensions. */
    public long[] shape() {
        return shape.clone();
    }

    /** The elements in memory, from the first on; writing there changes the tensor. Strings have none: strings(). */
    public ByteBuffer data() {
        if (type == ElementType.STRING) {
            throw EdgeortException.invalid("the elements are STRING, no bytes of a buffer: strings()");
        }
        ByteBuffer view = data.duplicate().order(ByteOrder.nativeOrder());
        view.clear();
        return view;
    }

    /** The elements of a tensor of float32. */
    public float[] floats() {
        need(ElementType.FLOAT32);
        float[] found = new float[count()];
        data().asFloatBuffer().get(found);
        return found;
    }

    /** The elements of a tensor of int32. */
    public int[] ints() {
        need(ElementType.INT32);
        int[] found = new int[count()];
        data().asIntBuffer().get(found);
        return found;
    }

    /** The elements of a tensor of int64. */
    public long[] longs() {
        need(ElementType.INT64);
        long[] found = new long[count()];
        data().asLongBuffer().get(found);
        return found;
    }

    /** The elements of a tensor of strings. */
    public String[] strings() {
        need(ElementType.STRING);
        return Texts.unpacked(data, count());
    }

    /** The same elements with 1 before the dimensions, where there is one more. */
    Tensor withRank(int rank) {
        return rank == shape.length ? this : new Tensor(type, new long[] {1, shape[0], shape[1], shape[2]}, data);
    }

    static ByteBuffer allocate(long bytes) {
        if (bytes > Integer.MAX_VALUE) {
            throw EdgeortException.invalid("a tensor of " + bytes + " bytes: a buffer of Java has " + Integer.MAX_VALUE + " at most");
        }
        return ByteBuffer.allocateDirect((int) bytes).order(ByteOrder.nativeOrder());
    }

    private static long[] shapeOf(int count, long[] shape) {
        return shape.length == 0 ? new long[] {count} : shape.clone();
    }

    private static long multiplied(long a, long b) {
        try {
            return Math.multiplyExact(a, b);
        } catch (ArithmeticException error) {
            throw EdgeortException.invalid("the tensor is too large");
        }
    }

    private int count() {
        return (int) elements(shape); // which the buffer has room for
    }

    private static long elements(long[] shape) {
        long count = 1;
        for (long dim : shape) {
            if (dim < 0) {
                throw EdgeortException.invalid("a dimension is negative: " + dim);
            }
            count = multiplied(count, dim);
        }
        return count;
    }

    private void need(ElementType wanted) {
        if (type != wanted) {
            throw EdgeortException.invalid("the elements are " + type + ", not " + wanted);
        }
    }
}
