package edgeort.model;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** An input or output: its name, the type of its elements, its dimensions. */
public final class TensorInfo {
    private final String name;
    private final ElementType type;
    private final long[] shape;

    private TensorInfo(String name, ElementType type, long[] shape) {
        this.name = name;
        this.type = type;
        this.shape = shape;
    }

    /** As Native tells of it: UTF-8; element type, rank or -1, dimensions. */
    static TensorInfo of(byte[] name, long[] form) {
        long[] shape = form[1] < 0 ? null : Arrays.copyOfRange(form, 2, form.length);
        return new TensorInfo(new String(name, StandardCharsets.UTF_8), ElementType.of(form[0]), shape);
    }

    /** The name that it has in the model. */
    public String name() {
        return name;
    }

    /** The type of its elements. */
    public ElementType type() {
        return type;
    }

    /** Its dimensions, -1 where one is free; null where they are not known before a run. */
    public long[] shape() {
        return shape == null ? null : shape.clone();
    }

    @Override
    public String toString() {
        return name + ": " + type + " " + (shape == null ? "of unknown shape" : Arrays.toString(shape));
    }
}
