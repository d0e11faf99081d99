package edgeort.model;

/** Types of elements: numbers in the order of edgeort_dtype, and strings. */
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
    BFLOAT16(2),
    STRING(Texts.ENTRY);

    /** The size of an element in bytes. Of strings it is what stands for one: texts have any length. */
    public final int bytes;

    private static final int CODE_OF_STRING = 23; // EDGEORT_STRING of edgeort.h

    ElementType(int bytes) {
        this.bytes = bytes;
    }

    /** As edgeort_dtype has it. */
    int code() {
        return this == STRING ? CODE_OF_STRING : ordinal();
    }

    /** The inverse of code(). EdgeortException for types that Java has no tensors of. */
    static ElementType of(long code) {
        for (ElementType type : values()) {
            if (type.code() == code) {
                return type;
            }
        }
        throw new EdgeortException("the plan has inputs or outputs that are neither numbers nor strings");
    }
}
