# Shows that check_lists.awk accepts complete lists and names what is missing from others:
#   cmake -DWORK_DIR=build -P cmake/check_lists_test.cmake
cmake_minimum_required(VERSION 3.22)

set(tree ${WORK_DIR}/lists)

# Writes one header of ops/ with `declarations`, and the three lists.
function(check declarations compiled on_tensors remedies expected)
    set(files ops/exp.hpp ops/on_tensors.hpp ops/remedies.hpp compiled/ops.inc)
    file(WRITE ${tree}/ops/exp.hpp "namespace gradus {\n${declarations}\n}  // namespace gradus\n")
    file(WRITE ${tree}/ops/on_tensors.hpp "namespace gradus {\n${on_tensors}\n}  // namespace gradus\n")
    file(WRITE ${tree}/ops/remedies.hpp "namespace gradus {\n${remedies}\n}  // namespace gradus\n")
    file(WRITE ${tree}/compiled/ops.inc "namespace gradus {\n${compiled}\n}  // namespace gradus\n")
    execute_process(COMMAND awk -f ${CMAKE_CURRENT_LIST_DIR}/declarations.awk -f ${CMAKE_CURRENT_LIST_DIR}/check_lists.awk
        ${files} WORKING_DIRECTORY ${tree} OUTPUT_VARIABLE output ERROR_VARIABLE output RESULT_VARIABLE broken)
    string(STRIP "${output}" output)
    if(NOT output STREQUAL expected)
        message(FATAL_ERROR "expected '${expected}', got '${output}'")
    endif()
    if(expected STREQUAL "" AND broken OR NOT expected STREQUAL "" AND NOT broken)
        message(FATAL_ERROR "printed '${output}' and returned ${broken}")
    endif()
endfunction()

# Everything in its list.
set(exp "template <class T>\nVariable<T> exp(const Variable<T>& x) {\n    return x;\n}")
set(exp_compiled "GRADUS_EXTERN template Variable<> exp(const Variable<>&);")
set(exp_on_tensors "template <class T>\nTensor<T> exp(Tensor<T> x) {\n    return exp(x);\n}")
check("${exp}" "${exp_compiled}" "${exp_on_tensors}" "" "")

# A function, an overload and a class that gradus::compiled would not hold.
check("${exp}" "" "${exp_on_tensors}" "" "ops/exp.hpp:3: exp(const Variable<float>&) is missing from compiled/*.inc")
check("${exp}\ntemplate <class T = float>\n[[gnu::cold]] Variable<T> exp(const Variable<T>& x,\n    std::type_identity_t<T> base = T(2), int n = 1) {\n"
    "${exp_compiled}" "${exp_on_tensors}" ""
    "ops/exp.hpp:8: exp(const Variable<float>&, float, int) is missing from compiled/*.inc")
check("namespace nn {\ntemplate <class T = float>\nstruct Layer : Base<T> {\n};\n}  // namespace nn"
    "" "" "" "ops/exp.hpp:4: nn::Layer<float> is missing from compiled/*.inc")
check("template <class T = float, class Label = Index>\nclass Loader {\n" "namespace data {\nGRADUS_EXTERN template class Loader<float, Index>;\n}  // namespace data"
    "" "" "ops/exp.hpp:3: Loader<float, Index> is missing from compiled/*.inc")

check("template <class T = float>\nclass Adam : public Optimizer<detail::Rule<T, true>> {\n"
    "GRADUS_EXTERN template class Optimizer<detail::Rule<float, true>>;" "" "" "")

# One that does not take tensors, and one that does not say which option there is not.
check("${exp}" "${exp_compiled}" "" "" "ops/exp.hpp:3: exp is missing from ops/on_tensors.hpp")
set(sum "template <class T>\nTensor<T> sum(const Tensor<T>& x, SumOptions options = {}) {\n    return x;\n}")
set(sum_compiled "GRADUS_EXTERN template Tensor<> sum(const Tensor<>&, SumOptions);")
check("${sum}" "${sum_compiled}" "" "" "ops/exp.hpp:3: sum is missing from ops/remedies.hpp")
check("${sum}" "${sum_compiled}" "" "template <std::size_t N>\nAnyValue sum(const AnyValue&, NoSuchOption<N>);" "")

# What belongs in no list.
check("namespace detail {\n${exp}\n}  // namespace detail" "" "" "" "")
check("template <class F, class T>\nTensor<T> map(const F& f, const Tensor<T>& x) {\n" "" "" "" "")
check("template <class T>\nstruct SumOptions {\n" "" "" "" "")
check("inline void seed(int n) {\n" "" "" "" "")
message(STATUS "everything that was missing was found")
