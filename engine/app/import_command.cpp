#include <cstdio>

#include "engine/app/commands.hpp"

namespace twinscreen {

const char* import_examples()
{
    return R"(Examples of each script in engine/twin/converters that turns models into bundles; each has
a --help. They need Python 3.11 with numpy and safetensors; cluster/quickstart.sh installs one as
~/.cache/twinscreen/python/bin/python.

your own network, from ONNX (no PyTorch needed)
  export_model.py onnx net.onnx bundles/net --name net --mean 127.5 --scale 127.5
your own network, from PyTorch
  export_model.py torch my_models:build bundles/net --state net.safetensors \
      --name net --mean 127.5 --scale 127.5 --tap layer4
readouts of subjects and areas on a node of such a network: ridge (SUBJECT.AREA.coef), space x
feature (SUBJECT.AREA.space) or Gaussian-sampled (SUBJECT.AREA.position)
  convert_readouts.py readouts.safetensors bundles/net bundles/brain --tap layer4
feature-weighted receptive field models of fMRI with their networks (NSD)
  convert_fwrf.py weights_sub-01_roi-V1.pt bundles/sub-01_V1 \
      --metadata metadata_sub-01_roi-V1.npy
fMRI and EEG models saved as standardiser, PCA and linear regressions of its taps
  convert_linear_model.py weights_subject-01.npy bundles/vit bundles/subject_1 \
      --subject 1 --metadata metadata_subject-01.npy --area V1v
compact networks of macaque V4 (Cowley et al. 2023)
  convert_v4_compact.py DATA/v4-compact-models bundles
SENSORIUM networks of mouse V1 (Willeke et al. 2022)
  convert_sensorium.py DATA/sensorium-mouse-v1-twins bundles
MobileNet v1 and SqueezeNet 1.1; CIFAR ResNets
  convert_imagenet_backbones.py DATA/imagenet-backbones bundles
  convert_cifar_resnets.py DATA/cifar10-resnets bundles

Then:  twinscreen check bundles/net && twinscreen list bundles/net --taps)";
}

int import_command()
{
    std::printf("%s\n", import_examples());
    return 0;
}

}  // namespace twinscreen
