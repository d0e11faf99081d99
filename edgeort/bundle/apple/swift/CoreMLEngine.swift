import CoreML
import Foundation

/// An input or output of a Core ML package: `feature` is its name there, where elements are float32 or int32, or an input
/// is a `picture`.
struct CoreMLFeature {
  let value: EdgeortValue
  let feature: String
  var picture: CoreMLPicture? = nil
}

/// A package of Core ML, which the system runs on the CPU, the GPU or the Neural Engine as it sees fit.
final class CoreMLEngine: EdgeortEngine {
  private let model: MLModel
  private let given: [CoreMLFeature]
  private let made: [CoreMLFeature]

  var inputs: [EdgeortValue] { given.map(\.value) }
  var outputs: [EdgeortValue] { made.map(\.value) }

  /// `package` is a .mlmodelc, as Xcode compiles it into the app, or a .mlpackage, which is compiled now.
  init(package: URL, inputs: [CoreMLFeature], outputs: [CoreMLFeature]) throws {
    given = inputs
    made = outputs
    do {
      let compiled = package.pathExtension == "mlmodelc" ? package : try MLModel.compileModel(at: package)
      model = try MLModel(contentsOf: compiled)
    } catch {
      throw EdgeortError.model("\(package.lastPathComponent): \(error.localizedDescription)")
    }
  }

  func run(_ tensors: [String: EdgeortTensor]) throws -> [String: EdgeortTensor] {
    var features: [String: Any] = [:]
    for one in given {
      guard let tensor = tensors[one.value.name] else { continue }
      if let kind = one.picture {
        features[one.feature] = try CoreMLEngine.picture(tensor, one.value, kind)
      } else {
        features[one.feature] = try CoreMLEngine.array(tensor, one.value)
      }
    }
    let answer: MLFeatureProvider
    do {
      answer = try model.prediction(from: MLDictionaryFeatureProvider(dictionary: features))
    } catch {
      throw EdgeortError.run(error.localizedDescription)
    }
    var results: [String: EdgeortTensor] = [:]
    for one in made {
      guard let array = answer.featureValue(for: one.feature)?.multiArrayValue else {
        throw EdgeortError.run("the model gave no \(one.value.name)")
      }
      results[one.value.name] = try CoreMLEngine.tensor(array, one.value)
    }
    return results
  }

  private static func array(_ tensor: EdgeortTensor, _ value: EdgeortValue) throws -> MLMultiArray {
    guard tensor.type == value.type else {
      throw EdgeortError.input("input \(value.name) must be \(value.type), not \(tensor.type)")
    }
    let shape = tensor.shape.map { NSNumber(value: $0) }
    let array = try MLMultiArray(shape: shape, dataType: tensor.type == .float32 ? .float32 : .int32)
    tensor.data.withUnsafeBytes { bytes in
      if let from = bytes.baseAddress { array.dataPointer.copyMemory(from: from, byteCount: bytes.count) }
    }
    return array
  }

  /// The elements in order: Core ML may leave room between rows.
  private static func tensor(_ array: MLMultiArray, _ value: EdgeortValue) throws -> EdgeortTensor {
    let shape = array.shape.map(\.intValue)
    let strides = array.strides.map(\.intValue)
    let size = value.type.size
    guard array.dataType == (value.type == .float32 ? .float32 : .int32) else {
      throw EdgeortError.run("output \(value.name) has elements of another type than the package says")
    }
    let isRowDense = strides.last == 1
    let outer = isRowDense ? Array(shape.dropLast()) : shape
    let runBytes = (isRowDense ? shape[shape.count - 1] : 1) * size
    var data = Data(capacity: shape.reduce(size, *))
    var index = [Int](repeating: 0, count: outer.count)
    for _ in 0..<outer.reduce(1, *) {
      let offset = zip(index, strides).reduce(0) { $0 + $1.0 * $1.1 }
      data.append(Data(bytes: array.dataPointer + offset * size, count: runBytes))
      var axis = outer.count - 1
      while axis >= 0 {
        index[axis] += 1
        if index[axis] < outer[axis] { break }
        index[axis] = 0
        axis -= 1
      }
    }
    return try EdgeortTensor(type: value.type, shape: shape, data: data)
  }
}
