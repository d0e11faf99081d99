import Foundation

/// The element types of tensors, numbered as in edgeort.h.
public enum EdgeortType: Int32, Sendable {
  case float32 = 0
  case uint8 = 1
  case int8 = 2
  case uint16 = 3
  case int16 = 4
  case int32 = 5
  case int64 = 6
  case bool = 7
  case float16 = 8
  case float64 = 9
  case uint32 = 10
  case uint64 = 11
  case string = 23

  /// Bytes of an element in `data`; strings, which are not there, have none.
  public var size: Int {
    switch self {
    case .string: return 0
    case .uint8, .int8, .bool: return 1
    case .uint16, .int16, .float16: return 2
    case .float32, .int32, .uint32: return 4
    case .int64, .float64, .uint64: return 8
    }
  }
}

/// A Swift type that is an element type of tensors. (Intel Macs have no Float16: its bits are in `data`.)
public protocol EdgeortElement {
  static var edgeortType: EdgeortType { get }
}

extension Float: EdgeortElement { public static var edgeortType: EdgeortType { .float32 } }
extension Double: EdgeortElement { public static var edgeortType: EdgeortType { .float64 } }
extension UInt8: EdgeortElement { public static var edgeortType: EdgeortType { .uint8 } }
extension Int8: EdgeortElement { public static var edgeortType: EdgeortType { .int8 } }
extension UInt16: EdgeortElement { public static var edgeortType: EdgeortType { .uint16 } }
extension Int16: EdgeortElement { public static var edgeortType: EdgeortType { .int16 } }
extension UInt32: EdgeortElement { public static var edgeortType: EdgeortType { .uint32 } }
extension Int32: EdgeortElement { public static var edgeortType: EdgeortType { .int32 } }
extension UInt64: EdgeortElement { public static var edgeortType: EdgeortType { .uint64 } }
extension Int64: EdgeortElement { public static var edgeortType: EdgeortType { .int64 } }
extension Bool: EdgeortElement { public static var edgeortType: EdgeortType { .bool } }

/// A dense tensor, the last dimension fastest.
public struct EdgeortTensor: Equatable, Sendable {
  public let type: EdgeortType
  public let shape: [Int]
  public let data: Data
  let texts: [String]

  /// Throws `EdgeortError.input` unless there are as many bytes as the shape needs.
  public init(type: EdgeortType, shape: [Int], data: Data) throws {
    guard type != .string else { throw EdgeortError.input("strings are no bytes: EdgeortTensor([String], shape:)") }
    guard data.count == EdgeortTensor.count(shape, of: type.size) else {
      throw EdgeortError.input("\(data.count) bytes are no \(type) of shape \(shape)")
    }
    self.type = type
    self.shape = shape
    self.data = data
    texts = []
  }

  /// Throws `EdgeortError.input` unless there are as many values as the shape needs.
  public init<Element: EdgeortElement>(_ values: [Element], shape: [Int]) throws {
    let data = values.withUnsafeBytes { Data($0) }
    try self.init(type: Element.edgeortType, shape: shape, data: data)
  }

  /// Throws `EdgeortError.input` unless there are as many strings as the shape needs.
  public init(_ values: [String], shape: [Int]) throws {
    guard values.count == EdgeortTensor.count(shape, of: 1) else {
      throw EdgeortError.input("\(values.count) strings are no tensor of shape \(shape)")
    }
    type = .string
    self.shape = shape
    data = Data()
    texts = values
  }

  /// The strings, such as the labels of classes. Throws `EdgeortError.input` when the elements are numbers.
  public func strings() throws -> [String] {
    guard type == .string else { throw EdgeortError.input("the elements are \(type), not strings") }
    return texts
  }

  /// The numbers. Throws `EdgeortError.input` when they are of another type.
  public func values<Element: EdgeortElement>(as element: Element.Type = Element.self) throws -> [Element] {
    guard Element.edgeortType == type else { throw EdgeortError.input("the elements are \(type), not \(Element.edgeortType)") }
    return [Element](unsafeUninitializedCapacity: data.count / type.size) { buffer, count in
      count = data.copyBytes(to: buffer) / type.size
    }
  }

  /// The elements of a shape, times the size of one; nil where no tensor has that shape.
  private static func count(_ shape: [Int], of size: Int) -> Int? {
    var (found, isTooLarge) = (size, shape.contains { $0 < 0 })
    for dim in shape {
      let (product, overflow) = found.multipliedReportingOverflow(by: dim)
      (found, isTooLarge) = (product, isTooLarge || overflow)
    }
    return isTooLarge ? nil : found
  }
}

/// What an input or output is: -1 marks a free dimension; the shape is nil while it is not known.
public struct EdgeortValue: Equatable, Sendable {
  public let name: String
  public let type: EdgeortType
  public let shape: [Int]?
}

/// What went wrong, in one line.
public enum EdgeortError: Error, LocalizedError, Equatable {
  /// The model is missing, damaged, or was built for another library.
  case model(String)
  /// A tensor that does not fit the model.
  case input(String)
  /// A run that failed.
  case run(String)
  /// Activations need more memory than the plan was built for: give a smaller input.
  case overRamLimit(String)
  /// The system has no more memory now.
  case outOfMemory(String)

  public var errorDescription: String? {
    switch self {
    case .model(let reason), .input(let reason), .run(let reason): return reason
    case .overRamLimit(let reason), .outOfMemory(let reason): return reason
    }
  }
}
