package edgeort.model;

/** Types of elements, in the order of edgeort_dtype. */
public enum ElementType {
    FLOAT32(4),
    UINT8(1),
    INT8(1),
    UINT16(2),
    INT16(2),
    INT32(4),
    INT64(8),
    BOOL(1),
    FLOAT16(2),
    FLOAT64(8),
    UINT32(4),
    UINT64(8),
    BFLOAT16(2);

    /** The size of an element in bytes. */
    public final int bytes;

    ElementType(int bytes) {
        this.bytes = bytes;
    }
}
