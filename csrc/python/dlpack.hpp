// The part of the DLPack ABI (version 1) that the tensor caster reads. Layouts follow the public specification,
// https://dmlc.github.io/dlpack; only CPU memory is ever touched here.
#pragma once

#include <cstdint>

namespace inntd::python::dlpack {

struct Version {
  std::uint32_t major;
  std::uint32_t minor;
};

enum DeviceType : std::int32_t { kCpu = 1, kCuda = 2, kCudaHost = 3 };
enum TypeCode : std::uint8_t { kInt = 0, kUint = 1, kFloat = 2, kBfloat = 4, kComplex = 5, kBool = 6 };

struct Device {
  std::int32_t type;
  std::int32_t index;
};

struct DataType {
  std::uint8_t code;
  std::uint8_t bits;
  std::uint16_t lanes;
};

struct Tensor {
  void* data;
  Device device;
  std::int32_t ndim;
  DataType dtype;
  std::int64_t* shape;
  std::int64_t* strides;  // in elements; null means C-contiguous before version 1.2
  std::uint64_t byte_offset;
};

// What a capsule named "dltensor" holds; the fields after `tensor` belong to the producer.
struct ManagedTensor {
  Tensor tensor;
  void* context;
  void (*deleter)(ManagedTensor*);
};

// What a capsule named "dltensor_versioned" holds.
struct ManagedTensorVersioned {
  Version version;
  void* context;
  void (*deleter)(ManagedTensorVersioned*);
  std::uint64_t flags;
  Tensor tensor;
};
constexpr std::uint64_t kReadOnly = 1;

// What a type's attribute __dlpack_c_exchange_api__ holds, in a capsule named "dlpack_exchange_api". Older versions
// of the table are chained through `previous`.
struct ExchangeApi {
  Version version;
  const ExchangeApi* previous;
  void* allocate;
  void* managed_from_object;
  void* managed_to_object;
  int (*tensor_from_object)(void* object, Tensor* out);  // borrows; may be null; -1 with a Python error set
  void* current_stream;
};

}  // namespace inntd::python::dlpack
