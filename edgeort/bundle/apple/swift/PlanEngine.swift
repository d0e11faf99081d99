import CEdgeort
import Foundation

/// A plan in the runtime of this package (edgeort.h).
final class PlanEngine: EdgeortEngine {
  private let model: OpaquePointer
  // The runtime reads inputs where they are, and outputs may be views of them: each has memory of its own.
  private var memories: [UnsafeMutableRawPointer?]
  let inputs: [EdgeortValue]

  var outputs: [EdgeortValue] { PlanEngine.values(of: model, edgeort_output_count(model), edgeort_output) }

  init(plan: URL, threads: Int) throws {
    guard edgeort_abi() == EDGEORT_ABI else {
      throw EdgeortError.model("the library has ABI \(edgeort_abi()), its header \(EDGEORT_ABI)")
    }
    var options = edgeort_options(threads: Int32(threads), profile: 0, isa: nil)
    var reason = [CChar](repeating: 0, count: Int(EDGEORT_ERROR_BYTES))
    guard let model = edgeort_open(plan.path, &options, &reason) else {
      throw EdgeortError.model("\(plan.lastPathComponent): \(String(cString: reason))")
    }
    self.model = model
    inputs = PlanEngine.values(of: model, edgeort_input_count(model), edgeort_input)
    memories = Array(repeating: nil, count: inputs.count)
  }

  deinit {
    edgeort_close(model)
    memories.forEach { $0?.deallocate() }
  }

  func run(_ given: [String: EdgeortTensor]) throws -> [String: EdgeortTensor] {
    for (index, value) in inputs.enumerated() {
      if let tensor = given[value.name] { try set(index, value, tensor) }
    }
    let status = edgeort_run(model)
    guard status == 0 else { throw failure(status) }
    var results: [String: EdgeortTensor] = [:]
    for index in 0..<edgeort_output_count(model) {
      var raw = edgeort_tensor()
      _ = edgeort_output(model, index, &raw)
      let value = try PlanEngine.value(raw)
      results[value.name] = try PlanEngine.tensor(raw, value)
    }
    return results
  }

  /// What a status that is not 0 is about.
  private func failure(_ status: Int32) -> EdgeortError {
    let reason = String(cString: edgeort_last_error(model))
    switch edgeort_status(rawValue: UInt32(status)) {
    case EDGEORT_OVER_RAM_LIMIT: return .overRamLimit(reason)
    case EDGEORT_INVALID_ARGUMENT: return .input(reason)
    case EDGEORT_OUT_OF_MEMORY: return .outOfMemory(reason)
    default: return .run(reason)
    }
  }

  private func set(_ index: Int, _ value: EdgeortValue, _ tensor: EdgeortTensor) throws {
    guard tensor.type == value.type else {
      throw EdgeortError.input("input \(value.name) must be \(value.type), not \(tensor.type)")
    }
    guard tensor.shape.count <= Int(EDGEORT_MAX_RANK) else {
      throw EdgeortError.input("input \(value.name) has rank \(tensor.shape.count)")
    }
    let memory = tensor.type == .string ? PlanEngine.packed(tensor.texts) : PlanEngine.copied(tensor.data)
    var raw = edgeort_tensor()
    raw.data = memory
    raw.bytes = tensor.type == .string ? tensor.texts.count * MemoryLayout<edgeort_string>.stride : tensor.data.count
    raw.dtype = tensor.type.rawValue
    raw.rank = Int32(tensor.shape.count)
    withUnsafeMutableBytes(of: &raw.dims) { bytes in
      let dims = bytes.bindMemory(to: Int64.self)
      for (axis, dim) in tensor.shape.enumerated() { dims[axis] = Int64(dim) }
    }
    let status = edgeort_set_input(model, Int32(index), &raw)
    guard status == 0 else {
      memory.deallocate()
      throw failure(status)
    }
    memories[index]?.deallocate()
    memories[index] = memory
  }

  private static func copied(_ data: Data) -> UnsafeMutableRawPointer {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: max(data.count, 1), alignment: 64)
    data.withUnsafeBytes { if let from = $0.baseAddress { memory.copyMemory(from: from, byteCount: $0.count) } }
    return memory
  }

  /// Strings as the runtime reads them: an entry for each, and behind the entries their UTF-8, in one memory.
  private static func packed(_ texts: [String]) -> UnsafeMutableRawPointer {
    let encoded = texts.map { Array($0.utf8) }
    let stride = MemoryLayout<edgeort_string>.stride
    let size = encoded.reduce(texts.count * stride) { $0 + $1.count }
    let memory = UnsafeMutableRawPointer.allocate(byteCount: max(size, 1), alignment: 64)
    var place = memory + texts.count * stride
    for (index, units) in encoded.enumerated() {
      place.copyMemory(from: units, byteCount: units.count)
      let entry = edgeort_string(data: UnsafePointer(place.assumingMemoryBound(to: CChar.self)), bytes: UInt64(units.count))
      memory.storeBytes(of: entry, toByteOffset: index * stride, as: edgeort_string.self)
      place += units.count
    }
    return memory
  }

  /// A copy of what a run made.
  private static func tensor(_ raw: edgeort_tensor, _ value: EdgeortValue) throws -> EdgeortTensor {
    let shape = value.shape ?? []
    guard value.type == .string else {
      let data = raw.data.map { Data(bytes: $0, count: raw.bytes) } ?? Data()
      return try EdgeortTensor(type: value.type, shape: shape, data: data)
    }
    let stride = MemoryLayout<edgeort_string>.stride
    let texts = (0..<raw.bytes / stride).map { index -> String in
      let entry = raw.data!.load(fromByteOffset: index * stride, as: edgeort_string.self)
      return String(decoding: UnsafeRawBufferPointer(start: entry.data, count: Int(entry.bytes)), as: UTF8.self)
    }
    return try EdgeortTensor(texts, shape: shape)
  }

  private typealias Describe = (OpaquePointer?, Int32, UnsafeMutablePointer<edgeort_tensor>?) -> Int32

  private static func values(of model: OpaquePointer, _ count: Int32, _ describe: Describe) -> [EdgeortValue] {
    (0..<count).compactMap { index in
      var raw = edgeort_tensor()
      _ = describe(model, index, &raw)
      return try? value(raw)
    }
  }

  private static func value(_ raw: edgeort_tensor) throws -> EdgeortValue {
    let name = String(cString: raw.name)
    guard let type = EdgeortType(rawValue: raw.dtype) else {
      throw EdgeortError.model("\(name) has elements that Swift has no type for (\(raw.dtype))")
    }
    let shape: [Int]? = raw.rank < 0 ? nil : withUnsafeBytes(of: raw.dims) { bytes in
      bytes.bindMemory(to: Int64.self).prefix(Int(raw.rank)).map(Int.init)
    }
    return EdgeortValue(name: name, type: type, shape: shape)
  }
}
